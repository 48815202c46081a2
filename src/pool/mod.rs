//! Pools of server connections, one per (node, user, database).
//!
//! bb8 keeps the connections and their lifetime, the pool itself the minimum of idle ones; a fair gate of the pool's size
//! stands in front of it. Each thread has a bb8 pool of its own (a *lane*), so that a statement's way
//! from client to server and back wakes no other thread; sizes and queues are the whole pool's.

mod gate;
mod lane;
mod manager;
mod server_pool;

pub use gate::GateSnapshot;
pub use manager::{ConnectFailed, Manager, PoolServer};
pub use server_pool::{CheckoutError, Lease, PoolOptions, ServerPool, set_lane};

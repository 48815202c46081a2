//! A statement of Howdah's own on a server connection that no client uses at the moment.

use super::ServerConnection;
use crate::protocol::frame::{self, HEADER_LEN};
use crate::protocol::read::{Reader, error_field};
use crate::protocol::{TransactionStatus, backend, write};
use std::future::poll_fn;
use std::time::Duration;

/// A row in text format; `None` is NULL.
pub type Row = Vec<Option<String>>;

/// Why a statement of Howdah's own failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The connection broke.
    #[error("the server connection was lost")]
    Lost,
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    Timeout,
    /// The server refused the statement.
    #[error("{message}")]
    Server {
        /// SQLSTATE.
        code: String,
        /// The server's message.
        message: String,
    },
}

/// Runs one simple query and gives its rows. On any error but the server's own the connection is
/// broken.
///
/// # Errors
/// See [`QueryError`].
pub async fn query(
    connection: &mut ServerConnection,
    sql: &str,
    limit: Duration,
) -> Result<Vec<Row>, QueryError> {
    write::query(&mut connection.out, sql.as_bytes());
    let answer = tokio::time::timeout(limit, exchange(connection)).await.unwrap_or(Err(QueryError::Timeout));
    if matches!(answer, Err(QueryError::Lost | QueryError::Timeout)) {
        connection.break_it();
    }
    answer
}

async fn exchange(connection: &mut ServerConnection) -> Result<Vec<Row>, QueryError> {
    poll_fn(|cx| connection.poll_flush(cx)).await.map_err(|_| QueryError::Lost)?;
    let mut rows = Vec::new();
    let mut failure = None;
    let mut input: Vec<u8> = Vec::new();
    let mut buffer = vec![0_u8; 16 * 1024];
    loop {
        let n = poll_fn(|cx| connection.poll_read(cx, &mut buffer)).await.map_err(|_| QueryError::Lost)?;
        if n == 0 {
            return Err(QueryError::Lost);
        }
        input.extend_from_slice(buffer.get(..n).unwrap_or_default());
        let mut at = 0;
        while let Some((tag, body, len)) = next_message(input.get(at..).unwrap_or_default())? {
            at += len;
            match tag {
                backend::DATA_ROW => rows.push(row(body)?),
                backend::ERROR_RESPONSE => failure = Some(server_error(body)),
                backend::READY_FOR_QUERY => {
                    if body.first().copied().and_then(TransactionStatus::from_byte)
                        != Some(TransactionStatus::Idle)
                    {
                        return Err(QueryError::Lost);
                    }
                    return failure.map_or(Ok(rows), Err);
                }
                backend::PARAMETER_STATUS => {
                    let mut reader = Reader::new(body);
                    let (Ok(name), Ok(value)) = (reader.cstr(), reader.cstr()) else {
                        return Err(QueryError::Lost);
                    };
                    connection.note_parameter(name, value);
                }
                _ => {}
            }
        }
        input.drain(..at);
    }
}

type Message<'a> = (u8, &'a [u8], usize);

fn next_message(bytes: &[u8]) -> Result<Option<Message<'_>>, QueryError> {
    let Some(header) = frame::header(bytes).map_err(|_| QueryError::Lost)? else { return Ok(None) };
    Ok(bytes.get(HEADER_LEN..header.frame_len).map(|body| (header.tag, body, header.frame_len)))
}

fn row(body: &[u8]) -> Result<Row, QueryError> {
    let mut reader = Reader::new(body);
    let columns = reader.i16().map_err(|_| QueryError::Lost)?;
    let mut row = Vec::new();
    for _ in 0..columns {
        let len = reader.i32().map_err(|_| QueryError::Lost)?;
        let value = match usize::try_from(len) {
            Ok(len) => {
                let bytes = reader.bytes(len).map_err(|_| QueryError::Lost)?;
                Some(String::from_utf8_lossy(bytes).into_owned())
            }
            Err(_) => None,
        };
        row.push(value);
    }
    Ok(row)
}

fn server_error(body: &[u8]) -> QueryError {
    let text = |field| String::from_utf8_lossy(error_field(body, field).unwrap_or_default()).into_owned();
    QueryError::Server { code: text(b'C'), message: text(b'M') }
}

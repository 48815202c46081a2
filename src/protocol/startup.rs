//! The packets before the first typed message: StartupMessage, SSLRequest, GSSENCRequest, CancelRequest.

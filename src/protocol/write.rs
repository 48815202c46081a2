//! Writing messages: each function appends one whole message to a buffer.

use super::{TransactionStatus, backend, frontend};
use crate::error::{Severity, SqlError};

/// Appends a typed message whose body `body` writes.
pub fn message(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len = u32::try_from(out.len() - at).unwrap_or(u32::MAX);
    if let Some(slot) = out.get_mut(at..at + 4) {
        slot.copy_from_slice(&len.to_be_bytes());
    }
}

/// Appends `text` and a zero byte; a zero inside `text` ends it there.
pub fn cstr(out: &mut Vec<u8>, text: &[u8]) {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    out.extend_from_slice(text.get(..end).unwrap_or(text));
    out.push(0);
}

/// AuthenticationOk, or a request of the given kind with its payload.
pub fn authentication(out: &mut Vec<u8>, kind: i32, payload: &[u8]) {
    message(out, backend::AUTHENTICATION, |b| {
        b.extend_from_slice(&kind.to_be_bytes());
        b.extend_from_slice(payload);
    });
}

/// ErrorResponse with severity, code, message and whichever of detail, hint and position are there.
pub fn error_response(out: &mut Vec<u8>, error: &SqlError) {
    let severity = match error.severity {
        Severity::Error => "ERROR",
        Severity::Fatal => "FATAL",
    };
    error_or_notice(out, backend::ERROR_RESPONSE, severity, error);
}

/// NoticeResponse; `severity` is `NOTICE`, `WARNING`, ...; the error's own severity is not looked at.
pub fn notice_response(out: &mut Vec<u8>, severity: &str, notice: &SqlError) {
    error_or_notice(out, backend::NOTICE_RESPONSE, severity, notice);
}

fn error_or_notice(out: &mut Vec<u8>, tag: u8, severity: &str, error: &SqlError) {
    message(out, tag, |b| {
        let mut field = |kind: u8, value: &str| {
            b.push(kind);
            cstr(b, value.as_bytes());
        };
        field(b'S', severity);
        field(b'V', severity);
        field(b'C', error.code.as_str());
        field(b'M', &error.message);
        if let Some(detail) = &error.detail {
            field(b'D', detail);
        }
        if let Some(hint) = &error.hint {
            field(b'H', hint);
        }
        if let Some(position) = error.position {
            field(b'P', &position.to_string());
        }
        b.push(0);
    });
}

/// ParameterStatus.
pub fn parameter_status(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    message(out, backend::PARAMETER_STATUS, |b| {
        cstr(b, name);
        cstr(b, value);
    });
}

/// BackendKeyData with a 4-byte secret.
pub fn backend_key_data(out: &mut Vec<u8>, process_id: i32, secret: i32) {
    message(out, backend::BACKEND_KEY_DATA, |b| {
        b.extend_from_slice(&process_id.to_be_bytes());
        b.extend_from_slice(&secret.to_be_bytes());
    });
}

/// ReadyForQuery.
pub fn ready_for_query(out: &mut Vec<u8>, status: TransactionStatus) {
    out.extend_from_slice(&[backend::READY_FOR_QUERY, 0, 0, 0, 5, status.byte()]);
}

/// CommandComplete.
pub fn command_complete(out: &mut Vec<u8>, tag: &str) {
    message(out, backend::COMMAND_COMPLETE, |b| cstr(b, tag.as_bytes()));
}

/// RowDescription of text-format columns that belong to no table: name, type OID, type length.
pub fn row_description(out: &mut Vec<u8>, columns: &[(&str, u32, i16)]) {
    message(out, backend::ROW_DESCRIPTION, |b| {
        b.extend_from_slice(&u16::try_from(columns.len()).unwrap_or(u16::MAX).to_be_bytes());
        for (name, type_oid, type_len) in columns {
            cstr(b, name.as_bytes());
            b.extend_from_slice(&0_u32.to_be_bytes());
            b.extend_from_slice(&0_i16.to_be_bytes());
            b.extend_from_slice(&type_oid.to_be_bytes());
            b.extend_from_slice(&type_len.to_be_bytes());
            b.extend_from_slice(&(-1_i32).to_be_bytes());
            b.extend_from_slice(&0_i16.to_be_bytes());
        }
    });
}

/// DataRow; `None` is NULL.
pub fn data_row(out: &mut Vec<u8>, values: &[Option<&[u8]>]) {
    message(out, backend::DATA_ROW, |b| {
        b.extend_from_slice(&u16::try_from(values.len()).unwrap_or(u16::MAX).to_be_bytes());
        for value in values {
            match value {
                None => b.extend_from_slice(&(-1_i32).to_be_bytes()),
                Some(bytes) => {
                    b.extend_from_slice(&i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
                    b.extend_from_slice(bytes);
                }
            }
        }
    });
}

/// Query: a simple-protocol statement.
pub fn query(out: &mut Vec<u8>, sql: &[u8]) {
    message(out, frontend::QUERY, |b| cstr(b, sql));
}

/// Parse; `tail` is what follows the statement's text in the message: the parameter types' count and OIDs.
pub fn parse(out: &mut Vec<u8>, name: &[u8], sql: &[u8], tail: &[u8]) {
    message(out, frontend::PARSE, |b| {
        cstr(b, name);
        cstr(b, sql);
        b.extend_from_slice(tail);
    });
}

/// Describe (`kind` is `b'S'` for a statement, `b'P'` for a portal).
pub fn describe(out: &mut Vec<u8>, kind: u8, name: &[u8]) {
    message(out, frontend::DESCRIBE, |b| {
        b.push(kind);
        cstr(b, name);
    });
}

/// Close (`kind` is `b'S'` for a statement, `b'P'` for a portal).
pub fn close(out: &mut Vec<u8>, kind: u8, name: &[u8]) {
    message(out, frontend::CLOSE, |b| {
        b.push(kind);
        cstr(b, name);
    });
}

/// Sync.
pub fn sync(out: &mut Vec<u8>) {
    out.extend_from_slice(&[frontend::SYNC, 0, 0, 0, 4]);
}

/// Flush.
pub fn flush(out: &mut Vec<u8>) {
    out.extend_from_slice(&[frontend::FLUSH, 0, 0, 0, 4]);
}

/// CopyFail.
pub fn copy_fail(out: &mut Vec<u8>, reason: &[u8]) {
    message(out, frontend::COPY_FAIL, |b| cstr(b, reason));
}

/// Terminate.
pub fn terminate(out: &mut Vec<u8>) {
    out.extend_from_slice(&[frontend::TERMINATE, 0, 0, 0, 4]);
}

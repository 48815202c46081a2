//! SQLSTATE codes that Howdah itself answers with.
//!
//! Source: PostgreSQL manual, appendix A "PostgreSQL Error Codes".

/// A five-character SQLSTATE.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState(pub [u8; 5]);

impl SqlState {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }
}

impl std::fmt::Debug for SqlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for SqlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub const $name: SqlState = SqlState(*$code);)*
    };
}

states! {
    /// successful_completion
    SUCCESSFUL_COMPLETION = b"00000";
    /// warning
    WARNING = b"01000";
    /// connection_exception
    CONNECTION_EXCEPTION = b"08000";
    /// connection_failure: a shard was lost
    CONNECTION_FAILURE = b"08006";
    /// sqlclient_unable_to_establish_sqlconnection
    CANNOT_CONNECT = b"08001";
    /// transaction_resolution_unknown: a shard was lost during COMMIT
    TRANSACTION_RESOLUTION_UNKNOWN = b"08007";
    /// protocol_violation
    PROTOCOL_VIOLATION = b"08P01";
    /// feature_not_supported
    FEATURE_NOT_SUPPORTED = b"0A000";
    /// invalid_parameter_value
    INVALID_PARAMETER_VALUE = b"22023";
    /// character_not_in_repertoire
    CHARACTER_NOT_IN_REPERTOIRE = b"22021";
    /// numeric_value_out_of_range
    NUMERIC_VALUE_OUT_OF_RANGE = b"22003";
    /// string_data_length_mismatch
    STRING_DATA_LENGTH_MISMATCH = b"22026";
    /// invalid_row_count_in_limit_clause
    INVALID_ROW_COUNT_IN_LIMIT_CLAUSE = b"2201W";
    /// invalid_row_count_in_result_offset_clause
    INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE = b"2201X";
    /// invalid_binary_representation
    INVALID_BINARY_REPRESENTATION = b"22P03";
    /// invalid_text_representation
    INVALID_TEXT_REPRESENTATION = b"22P02";
    /// undefined_table
    UNDEFINED_TABLE = b"42P01";
    /// undefined_column
    UNDEFINED_COLUMN = b"42703";
    /// ambiguous_column
    AMBIGUOUS_COLUMN = b"42702";
    /// check_violation
    CHECK_VIOLATION = b"23514";
    /// active_sql_transaction
    ACTIVE_SQL_TRANSACTION = b"25001";
    /// no_active_sql_transaction
    NO_ACTIVE_SQL_TRANSACTION = b"25P01";
    /// in_failed_sql_transaction
    IN_FAILED_SQL_TRANSACTION = b"25P02";
    /// invalid_sql_statement_name
    INVALID_SQL_STATEMENT_NAME = b"26000";
    /// invalid_authorization_specification
    INVALID_AUTHORIZATION = b"28000";
    /// invalid_password
    INVALID_PASSWORD = b"28P01";
    /// serialization_failure
    SERIALIZATION_FAILURE = b"40001";
    /// invalid_cursor_name
    INVALID_CURSOR_NAME = b"34000";
    /// invalid_catalog_name: unknown database
    INVALID_CATALOG_NAME = b"3D000";
    /// syntax_error
    SYNTAX_ERROR = b"42601";
    /// insufficient_privilege
    INSUFFICIENT_PRIVILEGE = b"42501";
    /// datatype_mismatch
    DATATYPE_MISMATCH = b"42804";
    /// duplicate_cursor
    DUPLICATE_CURSOR = b"42P03";
    /// duplicate_prepared_statement
    DUPLICATE_PREPARED_STATEMENT = b"42P05";
    /// undefined_object
    UNDEFINED_OBJECT = b"42704";
    /// lock_not_available
    LOCK_NOT_AVAILABLE = b"55P03";
    /// too_many_connections: a pool or client limit was reached
    TOO_MANY_CONNECTIONS = b"53300";
    /// program_limit_exceeded
    PROGRAM_LIMIT_EXCEEDED = b"54000";
    /// object_not_in_prerequisite_state
    OBJECT_NOT_IN_PREREQUISITE_STATE = b"55000";
    /// query_canceled
    QUERY_CANCELED = b"57014";
    /// admin_shutdown
    ADMIN_SHUTDOWN = b"57P01";
    /// cannot_connect_now: a shard is not ready
    CANNOT_CONNECT_NOW = b"57P03";
    /// idle_session_timeout
    IDLE_SESSION_TIMEOUT = b"57P05";
    /// config_file_error
    CONFIG_FILE_ERROR = b"F0000";
    /// internal_error: a bug of ours
    INTERNAL_ERROR = b"XX000";
}

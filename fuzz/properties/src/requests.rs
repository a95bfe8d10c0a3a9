//! Requests of clients: JSON bodies and queries.

use std::fmt::Debug;

use ipblock_api::{
    error::ApiError,
    types::{
        AlertQuery, ApplyRequest, AttachRequest, AuditQuery, BanRequest, BansQuery, CheckRequest,
        DeployRequest, EditRequest, RestoreQuery, RollbackRequest, RulesQuery, RulesetQuery,
        TopQuery, UnbanRequest,
    },
};
use serde::{Serialize, de::DeserializeOwned};

/// The first byte selects the type of request. An accepted request is unchanged after it is written
/// and parsed again; a rejection has a position inside the body.
pub fn requests(data: &[u8]) {
    let Some((which, content)) = data.split_first() else {
        return;
    };
    match which {
        b'e' => body::<EditRequest>(content),
        b'd' => body::<DeployRequest>(content),
        b'a' => body::<ApplyRequest>(content),
        b'c' => body::<CheckRequest>(content),
        b'r' => body::<RollbackRequest>(content),
        b'i' => body::<AttachRequest>(content),
        b'b' => body::<BanRequest>(content),
        b'u' => body::<UnbanRequest>(content),
        b'x' => body::<ApiError>(content),
        b'A' => query::<AlertQuery>(content),
        b'T' => query::<TopQuery>(content),
        b'B' => query::<BansQuery>(content),
        b'U' => query::<AuditQuery>(content),
        b'R' => query::<RestoreQuery>(content),
        b'L' => query::<RulesQuery>(content),
        _ => query::<RulesetQuery>(content),
    }
}

fn body<T: DeserializeOwned + Serialize + Debug + PartialEq>(content: &[u8]) {
    match serde_json::from_slice::<T>(content) {
        Ok(request) => {
            let written = serde_json::to_string(&request).unwrap();
            let read: T = serde_json::from_str(&written).unwrap();
            assert_eq!(read, request, "{written}");
        }
        Err(error) => {
            let lines: Vec<&[u8]> = content.split(|byte| *byte == b'\n').collect();
            // Line 0: the error belongs to a field, not to the text.
            let line = error.line().checked_sub(1).map(|line| lines[line].len());
            assert!(
                line.is_none_or(|length| error.column() <= length + 1),
                "{error}"
            );
        }
    }
}

fn query<T: DeserializeOwned + Serialize + Debug + PartialEq>(content: &[u8]) {
    let text = String::from_utf8_lossy(content);
    match serde_urlencoded::from_str::<T>(&text) {
        Ok(query) => {
            let written = serde_urlencoded::to_string(&query).unwrap();
            let read: T = serde_urlencoded::from_str(&written).unwrap();
            assert_eq!(read, query, "{written}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

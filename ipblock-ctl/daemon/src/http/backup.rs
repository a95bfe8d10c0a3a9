//! Transfers backups in parts between disk and client.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Write as _},
    sync::Arc,
};

use axum::{
    Extension,
    body::{Body, Bytes, HttpBody as _},
    extract::{Query, State},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited, channel::Channel};
use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::RestoreQuery,
};
use ipblock_store::DATABASE;
use tokio::time::timeout;
use tracing::warn;

use crate::{
    answers::{answer, run_blocking},
    bodies::{BACKUP_TIME, MAX_BACKUP, too_slow},
    caller::Caller,
    connections::AnswerTime,
    error::ErrorAnswer,
    state::Service,
};

/// Bytes of a backup per read.
const CHUNK: usize = 256 << 10;

/// Returns the present store, written while the client reads.
pub(super) async fn back_up(State(service): State<Arc<Service>>) -> Result<Response, ErrorAnswer> {
    let file = run_blocking(move || service.back_up()).await?;
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(2);
    tokio::spawn(async move {
        let mut reader = BufReader::with_capacity(CHUNK, file);
        loop {
            let chunk =
                tokio::task::block_in_place(|| reader.fill_buf().map(Bytes::copy_from_slice));
            match chunk {
                Ok(chunk) if chunk.is_empty() => break,
                Ok(chunk) => {
                    reader.consume(chunk.len());
                    // The client has closed the connection.
                    if sender.send_data(chunk).await.is_err() {
                        break;
                    }
                }
                Err(error) => {
                    // The client sees a truncated body.
                    warn!(%error, "a backup could not be read");
                    sender.abort(error);
                    break;
                }
            }
        }
    });
    let kind = [(CONTENT_TYPE, "application/vnd.sqlite3")];
    let time = AnswerTime(BACKUP_TIME);
    Ok((kind, Extension(time), Body::new(body)).into_response())
}

/// Receives a backup onto the disk, and puts it in force.
pub(super) async fn restore(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<RestoreQuery>,
    body: Body,
) -> Result<impl IntoResponse, ErrorAnswer> {
    let aside = service.directory_aside().map_err(ErrorAnswer)?;
    let path = aside.path().join(DATABASE);
    let failed = |error: &dyn std::fmt::Display| {
        let message = format!("the backup could not be received: {error}");
        ErrorAnswer(ApiError::new(ErrorKind::Failed, message))
    };
    let too_large = || {
        let message = format!("the backup is larger than {MAX_BACKUP} bytes");
        ErrorAnswer(ApiError::new(ErrorKind::Invalid, message))
    };
    if body.size_hint().lower() > MAX_BACKUP as u64 {
        return Err(too_large());
    }
    let mut file = File::create(&path).map_err(|error| failed(&error))?;
    // `DefaultBodyLimit` does not count a body that is read in parts.
    let mut body = Limited::new(body, MAX_BACKUP);
    let receive = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    return too_large();
                }
                failed(&error)
            })?;
            if let Some(chunk) = frame.data_ref() {
                tokio::task::block_in_place(|| file.write_all(chunk))
                    .map_err(|error| failed(&error))?;
            }
        }
        Ok(())
    };
    match timeout(BACKUP_TIME, receive).await {
        Ok(received) => received?,
        Err(_) => return Err(too_slow(BACKUP_TIME)),
    }
    drop(file);
    Ok(answer(service, move |service, _| {
        Ok(service.restore(&aside, query, &caller)?)
    })
    .await)
}

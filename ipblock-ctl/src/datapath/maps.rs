//! Pinned maps: opening them, and what to say when one fails.

use std::path::Path;

use aya::maps::{Map, MapData, MapError};

use super::error::DatapathError;

/// Opens a pinned map and requires the type and the sizes that the ABI says.
pub(super) fn open_map<M>(directory: &Path, name: &'static str) -> Result<M, DatapathError>
where
    M: TryFrom<Map, Error = MapError>,
{
    let path = directory.join(name);
    let strange = |error: MapError| DatapathError::StrangePin {
        path: path.clone(),
        problem: error.to_string(),
    };
    let data = MapData::from_pin(&path).map_err(strange)?;
    let map = Map::from_map_data(data).map_err(strange)?;
    M::try_from(map).map_err(strange)
}

pub(super) fn map_error(map: &'static str, error: MapError) -> DatapathError {
    DatapathError::Map {
        map,
        source: Box::new(error),
    }
}

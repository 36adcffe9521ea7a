use std::str::FromStr;

use bobchat_proto::wire;
use prost::Message as _;
use redis::Value;

use super::error::CallError;

/// What a script answered: a word, and the rest.
pub(super) struct Reply {
    /// What came of it.
    pub(super) word: String,
    rest: std::vec::IntoIter<Value>,
}

impl Reply {
    pub(super) fn new(value: Value) -> Result<Self, CallError> {
        let Value::Array(values) = value else { return Err(CallError::nonsense("not a list")) };
        let mut rest = values.into_iter();
        let word = text(rest.next())?;
        Ok(Self { word, rest })
    }

    /// The next item, as a number.
    pub(super) fn number<T: FromStr>(&mut self) -> Result<T, CallError> {
        number(&self.text()?)
    }

    /// The next item, as a text.
    pub(super) fn text(&mut self) -> Result<String, CallError> {
        text(self.rest.next())
    }

    /// The next item, as it is; `None` at the end.
    pub(super) fn bytes(&mut self) -> Result<Option<Vec<u8>>, CallError> {
        self.rest.next().map(bytes).transpose()
    }

    /// All other items, as events.
    pub(super) fn events(self) -> Result<Vec<wire::Event>, CallError> {
        self.rest.map(|item| wire::Event::decode(bytes(item)?.as_slice()).map_err(CallError::nonsense)).collect()
    }
}

pub(super) fn number<T: FromStr>(text: &str) -> Result<T, CallError> {
    text.parse().map_err(|_| CallError::nonsense(format!("{text:?} is not a number")))
}

fn text(item: Option<Value>) -> Result<String, CallError> {
    let bytes = bytes(item.ok_or_else(|| CallError::nonsense("too short"))?)?;
    String::from_utf8(bytes).map_err(CallError::nonsense)
}

fn bytes(item: Value) -> Result<Vec<u8>, CallError> {
    match item {
        Value::BulkString(bytes) => Ok(bytes),
        other => Err(CallError::nonsense(format!("not a string: {other:?}"))),
    }
}

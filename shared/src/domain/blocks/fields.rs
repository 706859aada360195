//! Reads JSON field by field, so that each refusal names the place and the accepted values.

use serde_json::{Map, Value};

/// Why a content was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct ContentError {
    /// Where: a JSON pointer (RFC 6901) relative to the content; empty for the content itself.
    pub pointer: String,
    /// What is wrong with it, in plain words.
    pub detail: String,
}

impl ContentError {
    /// A refusal of what stands at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }

    /// The same refusal, seen from further out: `prefix` is the pointer to the content.
    #[must_use]
    pub fn under(self, prefix: &str) -> Self {
        Self { pointer: format!("{prefix}{}", self.pointer), detail: self.detail }
    }
}

/// The fields of one JSON object that have not been read yet.
pub(super) struct Fields {
    left: Map<String, Value>,
    at: String,
}

impl Fields {
    /// The fields of the object at the pointer `at`. Nothing else than an object will do.
    pub(super) fn of(value: Value, at: &str) -> Result<Self, ContentError> {
        match value {
            Value::Object(left) => Ok(Self { left, at: at.to_owned() }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(ContentError::new(at, "must be an object"))
            }
        }
    }

    /// Where the field of this name is.
    pub(super) fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.at, name.replace('~', "~0").replace('/', "~1"))
    }

    pub(super) fn refuse(&self, name: &str, detail: impl Into<String>) -> ContentError {
        ContentError::new(self.pointer(name), detail)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    /// The field of this name as it was given, if it is a text.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.left.get(name).and_then(Value::as_str)
    }

    pub(super) fn optional(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name)
    }

    pub(super) fn need(&mut self, name: &str) -> Result<Value, ContentError> {
        self.optional(name).ok_or_else(|| self.refuse(name, "is missing"))
    }

    /// A text, by the constructor of its type.
    pub(super) fn text<T: TryFrom<String, Error: ToString>>(
        &mut self,
        name: &str,
    ) -> Result<T, ContentError> {
        match self.need(name)? {
            Value::String(text) => T::try_from(text).map_err(|error| self.refuse(name, error.to_string())),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Err(self.refuse(name, "must be a text"))
            }
        }
    }

    /// A text that may also be null or absent.
    pub(super) fn nullable_text<T: TryFrom<String, Error: ToString>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, ContentError> {
        if self.left.get(name).is_none_or(Value::is_null) {
            self.left.remove(name);
            return Ok(None);
        }
        self.text(name).map(Some)
    }

    /// A whole number, by the constructor of its type.
    pub(super) fn number<T: TryFrom<u64, Error: ToString>>(&mut self, name: &str) -> Result<T, ContentError> {
        let number = self.need(name)?.as_u64();
        let number = number.ok_or_else(|| self.refuse(name, "must be a whole number, not below 0"))?;
        T::try_from(number).map_err(|error| self.refuse(name, error.to_string()))
    }

    pub(super) fn boolean(&mut self, name: &str) -> Result<bool, ContentError> {
        self.need(name)?.as_bool().ok_or_else(|| self.refuse(name, "must be true or false"))
    }

    pub(super) fn array(&mut self, name: &str) -> Result<Vec<Value>, ContentError> {
        let value = self.need(name)?;
        array(value, &self.pointer(name))
    }

    /// Refuses what has not been read: it is a typing mistake, or meant for another type.
    pub(super) fn end(self) -> Result<(), ContentError> {
        match self.left.keys().next() {
            Some(name) => Err(self.refuse(name, "is not a field of this")),
            None => Ok(()),
        }
    }
}

/// The items of the array at the pointer `at`.
pub(super) fn array(value: Value, at: &str) -> Result<Vec<Value>, ContentError> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Err(ContentError::new(at, "must be an array"))
        }
    }
}

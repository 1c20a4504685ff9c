//! A JSON reply to Python objects, in one pass over the model, on the thread that asked.
//!
//! As in botocore: members in the model's order, null members left out, unknown members dropped, unknown map
//! keys kept, a scalar of another type passed through as it is.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{names, nested};
use crate::model::{Shape, Structure};

/// The reply of an operation as a dict, without its metadata.
///
/// What this parser refuses goes the way that boto3 goes, through Python's own: it takes more (lone surrogates,
/// numbers of any kind, loose base64), and what neither takes fails as it does in boto3.
pub(super) fn from_json<'py>(py: Python<'py>, body: &[u8], output: &'static Structure) -> PyResult<Bound<'py, PyDict>> {
    if body.is_empty() {
        return Ok(PyDict::new(py));
    }
    // Of the whole, also of what is passed over: boto3 decodes all of it before it looks for JSON. The parser need not look then.
    let Ok(text) = std::str::from_utf8(body) else { return through_python(py, body, output) };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = ShapedStructure { py, structure: output }.deserialize(&mut deserializer);
    match parsed.and_then(|dict| deserializer.end().map(|()| dict)) {
        Ok(dict) => Ok(dict),
        Err(_) => through_python(py, body, output),
    }
}

#[cold]
fn through_python<'py>(py: Python<'py>, body: &[u8], output: &'static Structure) -> PyResult<Bound<'py, PyDict>> {
    nested::run(py, || loaded(py, body, output))
}

fn loaded<'py>(py: Python<'py>, body: &[u8], output: &'static Structure) -> PyResult<Bound<'py, PyDict>> {
    let text = PyBytes::new(py, body).call_method1("decode", ("utf-8",))?;
    match py.import("json")?.call_method1("loads", (text,)) {
        // To a null the parser of boto3 adds the metadata, and fails; inside of a reply a null is left out.
        Ok(loaded) if loaded.is_none() => loaded.getattr("update").and(Ok(PyDict::new(py))),
        Ok(loaded) => reshape_members(&loaded, output),
        // botocore takes a body that is no JSON for a message, and a reply has none.
        Err(error) if error.is_instance_of::<PyValueError>(py) => Ok(PyDict::new(py)),
        Err(error) => Err(error),
    }
}

/// Give parsed JSON the shape of the model. What is not of that shape meets Python's own AttributeError or TypeError,
/// the same that botocore's parser meets.
fn reshape<'py>(value: &Bound<'py, PyAny>, shape: &'static Shape) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    match shape {
        Shape::String | Shape::Integer | Shape::Boolean => Ok(value.clone()),
        Shape::Blob => py.import("base64")?.call_method1("b64decode", (value,)),
        Shape::List(member) => {
            let list = PyList::empty(py);
            for item in value.try_iter()? {
                let item = item?;
                list.append(if item.is_none() { item } else { reshape(&item, member)? })?;
            }
            Ok(list.into_any())
        }
        Shape::Map(member) => {
            let dict = PyDict::new(py);
            for entry in value.call_method0("items")?.try_iter()? {
                let (key, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = entry?.extract()?;
                dict.set_item(key, reshape(&value, member)?)?;
            }
            Ok(dict.into_any())
        }
        Shape::Structure(_) if value.is_none() => Ok(value.clone()),
        Shape::Structure(structure) => reshape_members(value, structure).map(Bound::into_any),
    }
}

fn reshape_members<'py>(value: &Bound<'py, PyAny>, structure: &'static Structure) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(value.py());
    for (name, member) in names::of(value.py(), structure).iter().zip(structure.members) {
        let value = value.call_method1("get", (name,))?;
        if !value.is_none() {
            dict.set_item(name, reshape(&value, &member.shape)?)?;
        }
    }
    Ok(dict)
}

/// A value of some shape; `None` is JSON's null.
struct Shaped<'py> {
    py: Python<'py>,
    /// Without a shape, whatever the JSON is.
    shape: Option<&'static Shape>,
}

impl<'de, 'py> DeserializeSeed<'de> for Shaped<'py> {
    type Value = Option<Bound<'py, PyAny>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'py> Shaped<'py> {
    fn object<E: Error>(self, value: impl IntoPyObjectExt<'py>) -> Result<Option<Bound<'py, PyAny>>, E> {
        match self.shape {
            None | Some(Shape::String | Shape::Integer | Shape::Boolean) => {
                value.into_bound_py_any(self.py).map(Some).map_err(E::custom)
            }
            Some(shape) => Err(E::custom(format_args!("a scalar where the model has {}", kind(shape)))),
        }
    }
}

impl<'de, 'py> Visitor<'de> for Shaped<'py> {
    type Value = Option<Bound<'py, PyAny>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shape.map_or("any JSON", kind))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        self.object(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.object(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        self.object(value)
    }

    /// SQS has no such numbers. To Python this one may be an integer of more than 64 bits, or -0, and its last digits count.
    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Err(E::custom("a number that is no integer of 64 bits"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        match self.shape {
            Some(Shape::Blob) => {
                let bytes = STANDARD.decode(value).map_err(E::custom)?;
                Ok(Some(PyBytes::new(self.py, &bytes).into_any()))
            }
            _ => self.object(value),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let py = self.py;
        let member = match self.shape {
            Some(Shape::List(member)) => Some(*member),
            Some(shape @ (Shape::Map(_) | Shape::Structure(_) | Shape::Blob)) => {
                return Err(A::Error::custom(format_args!("a list where the model has {}", kind(shape))));
            }
            _ => None,
        };
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or(10));
        while let Some(item) = items.next_element_seed(Shaped { py, shape: member })? {
            list.push(item);
        }
        Ok(Some(PyList::new(py, list).map_err(A::Error::custom)?.into_any()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let py = self.py;
        let member = match self.shape {
            Some(Shape::Structure(structure)) => {
                return members(py, structure, entries).map(|dict| Some(dict.into_any()));
            }
            Some(Shape::Map(member)) => Some(*member),
            Some(shape @ (Shape::List(_) | Shape::Blob)) => {
                return Err(A::Error::custom(format_args!("an object where the model has {}", kind(shape))));
            }
            _ => None,
        };
        let dict = PyDict::new(py);
        while let Some(key) = entries.next_key_seed(KeySeed(py))? {
            let value = entries.next_value_seed(Shaped { py, shape: member })?;
            dict.set_item(key, value).map_err(A::Error::custom)?;
        }
        Ok(Some(dict.into_any()))
    }
}

/// The object at the root.
struct ShapedStructure<'py> {
    py: Python<'py>,
    structure: &'static Structure,
}

impl<'de, 'py> DeserializeSeed<'de> for ShapedStructure<'py> {
    type Value = Bound<'py, PyDict>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, 'py> Visitor<'de> for ShapedStructure<'py> {
    type Value = Bound<'py, PyDict>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        members(self.py, self.structure, entries)
    }
}

fn members<'de, 'py, A: MapAccess<'de>>(
    py: Python<'py>,
    structure: &'static Structure,
    mut entries: A,
) -> Result<Bound<'py, PyDict>, A::Error> {
    let mut values: Vec<Option<Bound<'py, PyAny>>> = structure.members.iter().map(|_| None).collect();
    while let Some(position) = entries.next_key_seed(Position(structure))? {
        let known = position.and_then(|position| Some((structure.members.get(position)?, values.get_mut(position)?)));
        match known {
            Some((member, value)) => *value = entries.next_value_seed(Shaped { py, shape: Some(&member.shape) })?,
            None => drop(entries.next_value::<IgnoredAny>()?),
        }
    }
    let dict = PyDict::new(py);
    for (name, value) in names::of(py, structure).iter().zip(values) {
        if let Some(value) = value {
            dict.set_item(name, value).map_err(A::Error::custom)?;
        }
    }
    Ok(dict)
}

/// A key of an object, as the position of the member that it names.
struct Position(&'static Structure);

impl<'de> DeserializeSeed<'de> for Position {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Position {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.member(name).map(|(position, _)| position))
    }
}

/// A key of a map.
struct KeySeed<'py>(Python<'py>);

impl<'de, 'py> DeserializeSeed<'de> for KeySeed<'py> {
    type Value = Bound<'py, PyString>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'py> Visitor<'_> for KeySeed<'py> {
    type Value = Bound<'py, PyString>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(PyString::new(self.0, key))
    }
}

fn kind(shape: &Shape) -> &'static str {
    match shape {
        Shape::String => "a string",
        Shape::Integer => "a number",
        Shape::Boolean => "a truth value",
        Shape::Blob => "base64 text",
        Shape::List(_) => "a list",
        Shape::Map(_) => "a map",
        Shape::Structure(structure) => structure.name,
    }
}

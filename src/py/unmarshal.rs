//! A JSON reply to Python objects, in one pass over the model, on the thread that asked.
//!
//! As in botocore: members in the model's order, null members left out, unknown members dropped, unknown map
//! keys kept, a scalar of another type passed through as it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyList, PyString};

use super::{names, nested};
use crate::model::{MOST_MEMBERS, Shape, Structure};
use crate::protocol::reader::{DEPTH, JsonReader, Refused};

/// The reply of an operation as a dict, without its metadata.
///
/// What is refused here goes the way that boto3 goes, through Python's own: it takes more (lone surrogates,
/// numbers of any kind, loose base64), and what neither takes fails as it does in boto3.
pub(super) fn from_json<'py>(py: Python<'py>, body: &[u8], output: &'static Structure) -> PyResult<Bound<'py, PyDict>> {
    if body.is_empty() {
        return Ok(PyDict::new(py));
    }
    // Of the whole, also of what is passed over: boto3 decodes all of it before it looks for JSON.
    let Ok(text) = std::str::from_utf8(body) else { return through_python(py, body, output) };
    let mut reading = Reading { py, json: JsonReader::new(text), depth: 0 };
    match reading.members(output).and_then(|dict| reading.json.end().map(|()| dict)) {
        Ok(dict) => Ok(dict),
        Err(Refused) => through_python(py, body, output),
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

/// A reply that is being read. What is refused, for whatever reason, Python's own parser is asked about.
struct Reading<'a, 'py> {
    py: Python<'py>,
    json: JsonReader<'a>,
    /// How many lists and objects it is in.
    depth: u32,
}

impl<'py> Reading<'_, 'py> {
    /// A value; `None` is JSON's null. Without a shape, whatever the JSON is.
    fn value(&mut self, shape: Option<&'static Shape>) -> Result<Option<Bound<'py, PyAny>>, Refused> {
        let py = self.py;
        match self.json.peek()? {
            b'"' => {
                let text = self.json.string()?;
                match shape {
                    Some(Shape::Blob) => {
                        let bytes = STANDARD.decode(&*text).map_err(|_| Refused)?;
                        Ok(Some(PyBytes::new(py, &bytes).into_any()))
                    }
                    _ => scalar(shape, PyString::new(py, &text).into_any()),
                }
            }
            b'{' => self.within(|it| it.object(shape)),
            b'[' => self.within(|it| it.list(shape)),
            b'n' => self.json.word("null").map(|()| None),
            b't' => self.json.word("true").and_then(|()| scalar(shape, PyBool::new(py, true).to_owned().into_any())),
            b'f' => self.json.word("false").and_then(|()| scalar(shape, PyBool::new(py, false).to_owned().into_any())),
            _ => {
                let number = self.json.integer()?;
                scalar(shape, PyInt::new(py, number).into_any())
            }
        }
    }

    fn within<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Refused>) -> Result<Option<T>, Refused> {
        if self.depth == DEPTH {
            return Err(Refused);
        }
        self.depth += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(Some(value))
    }

    fn list(&mut self, shape: Option<&'static Shape>) -> Result<Bound<'py, PyAny>, Refused> {
        let member = match shape {
            Some(Shape::List(member)) => Some(*member),
            Some(Shape::Map(_) | Shape::Structure(_) | Shape::Blob) => return Err(Refused),
            _ => None,
        };
        self.json.expect(b'[')?;
        let mut items = Vec::with_capacity(10);
        while self.json.has_another(items.is_empty(), b']')? {
            items.push(self.value(member)?);
        }
        PyList::new(self.py, items).map(Bound::into_any).map_err(|_| Refused)
    }

    fn object(&mut self, shape: Option<&'static Shape>) -> Result<Bound<'py, PyAny>, Refused> {
        let member = match shape {
            Some(Shape::Structure(structure)) => return self.members(structure).map(Bound::into_any),
            Some(Shape::Map(member)) => Some(*member),
            Some(Shape::List(_) | Shape::Blob) => return Err(Refused),
            _ => None,
        };
        self.json.expect(b'{')?;
        let dict = PyDict::new(self.py);
        let mut is_first = true;
        while self.json.has_another(is_first, b'}')? {
            let key = self.json.name()?;
            let value = self.value(member)?;
            dict.set_item(&*key, value).map_err(|_| Refused)?;
            is_first = false;
        }
        Ok(dict.into_any())
    }

    fn members(&mut self, structure: &'static Structure) -> Result<Bound<'py, PyDict>, Refused> {
        let mut values = [const { None }; MOST_MEMBERS];
        self.json.expect(b'{')?;
        let mut is_first = true;
        while self.json.has_another(is_first, b'}')? {
            let name = self.json.name()?;
            let known = structure.member(&name).and_then(|(place, member)| Some((member, values.get_mut(place)?)));
            match known {
                Some((member, value)) => *value = self.value(Some(&member.shape))?,
                None => self.json.skip()?,
            }
            is_first = false;
        }
        let dict = PyDict::new(self.py);
        for (name, value) in names::of(self.py, structure).iter().zip(values) {
            if let Some(value) = value {
                dict.set_item(name, value).map_err(|_| Refused)?;
            }
        }
        Ok(dict)
    }
}

/// What is no list and no object. A scalar of another type than the model's passes through.
fn scalar<'py>(shape: Option<&Shape>, value: Bound<'py, PyAny>) -> Result<Option<Bound<'py, PyAny>>, Refused> {
    match shape {
        None | Some(Shape::String | Shape::Integer | Shape::Boolean) => Ok(Some(value)),
        Some(Shape::Blob | Shape::List(_) | Shape::Map(_) | Shape::Structure(_)) => Err(Refused),
    }
}

//! Keyword arguments to JSON, in one pass over the model.
//!
//! The pass only notices *that* something does not fit; `validate` then walks the arguments once more, in
//! botocore's order, to say everything that is wrong. The two agree: what does not marshal has a complaint.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pyo3::exceptions::{PyAttributeError, PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use super::entries::Entries;
use super::names;
use crate::model::{Shape, Structure};

/// Why a value could not be written.
pub enum Unfit {
    /// It breaks the model; the complaint is `validate`'s to make.
    Invalid,
    Python(PyErr),
}

impl From<PyErr> for Unfit {
    fn from(error: PyErr) -> Self {
        Unfit::Python(error)
    }
}

type Written = Result<(), Unfit>;

/// Write the arguments of an operation as JSON.
///
/// Without `strict` (boto3's `parameter_validation=False`) a value of the wrong type travels as whatever JSON it
/// makes, for the service to judge.
pub fn to_json(params: &Bound<'_, PyDict>, input: &'static Structure, strict: bool) -> Result<Vec<u8>, Unfit> {
    let mut marshal = Marshal { out: Vec::with_capacity(512), strict };
    marshal.structure(params, input)?;
    Ok(marshal.out)
}

struct Marshal {
    out: Vec<u8>,
    strict: bool,
}

impl Marshal {
    fn value(&mut self, value: &Bound<'_, PyAny>, shape: &'static Shape) -> Written {
        match shape {
            Shape::String => match value.cast::<PyString>() {
                Ok(text) => self.string(text),
                Err(_) => self.misfit(value),
            },
            Shape::Integer => match value.cast::<PyInt>() {
                Ok(number) => self.integer(number),
                Err(_) => self.misfit(value),
            },
            Shape::Boolean => match value.cast::<PyBool>() {
                Ok(truth) => self.boolean(truth),
                Err(_) => self.misfit(value),
            },
            Shape::Blob => self.blob(value),
            Shape::List(member) => {
                if let Ok(list) = value.cast::<PyList>() {
                    self.list(list.iter(), member)
                } else if let Ok(tuple) = value.cast::<PyTuple>() {
                    self.list(tuple.iter(), member)
                } else if self.strict {
                    Err(Unfit::Invalid)
                } else {
                    self.list(value.try_iter()?.collect::<PyResult<Vec<_>>>()?.into_iter(), member)
                }
            }
            Shape::Map(member) => self.map(self.items_of(value)?, member),
            Shape::Structure(structure) => self.structure(self.items_of(value)?, structure),
        }
    }

    fn structure(&mut self, dict: &Bound<'_, PyDict>, structure: &'static Structure) -> Written {
        let names = names::of(dict.py(), structure);
        let mut seen = 0u64;
        self.out.push(b'{');
        for (count, entry) in Entries::of(dict).enumerate() {
            let (key, value) = entry?;
            let Some(position) = position(names, &key, structure) else {
                return Err(if self.strict { Unfit::Invalid } else { PyKeyError::new_err(key.unbind()).into() });
            };
            let Some(member) = structure.members.get(position) else { return Err(Unfit::Invalid) };
            seen |= 1 << position;
            if count > 0 {
                self.out.push(b',');
            }
            // Member names are plain ASCII identifiers.
            self.out.push(b'"');
            self.out.extend_from_slice(member.name.as_bytes());
            self.out.extend_from_slice(b"\":");
            self.value(&value, &member.shape)?;
        }
        self.out.push(b'}');
        let missing = |name: &&str| structure.member(name).is_none_or(|(position, _)| seen & (1 << position) == 0);
        if self.strict && structure.required.iter().any(missing) { Err(Unfit::Invalid) } else { Ok(()) }
    }

    fn list<'py>(&mut self, items: impl Iterator<Item = Bound<'py, PyAny>>, member: &'static Shape) -> Written {
        self.out.push(b'[');
        for (count, item) in items.enumerate() {
            if count > 0 {
                self.out.push(b',');
            }
            self.value(&item, member)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn map(&mut self, dict: &Bound<'_, PyDict>, member: &'static Shape) -> Written {
        self.out.push(b'{');
        for (count, entry) in Entries::of(dict).enumerate() {
            let (key, value) = entry?;
            if count > 0 {
                self.out.push(b',');
            }
            match key.cast::<PyString>() {
                Ok(key) => self.string(key)?,
                Err(_) if self.strict => return Err(Unfit::Invalid),
                Err(_) => self.string(&key.str()?)?,
            }
            self.out.push(b':');
            self.value(&value, member)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn items_of<'a, 'py>(&self, value: &'a Bound<'py, PyAny>) -> Result<&'a Bound<'py, PyDict>, Unfit> {
        match value.cast::<PyDict>() {
            Ok(dict) => Ok(dict),
            Err(_) if self.strict => Err(Unfit::Invalid),
            // What Python says of `value.items()`, which is what botocore's serializer runs into.
            Err(_) => {
                let kind = value.get_type().name()?;
                Err(PyAttributeError::new_err(format!("'{kind}' object has no attribute 'items'")).into())
            }
        }
    }

    fn string(&mut self, text: &Bound<'_, PyString>) -> Written {
        match text.to_str() {
            Ok(text) => self.json(text),
            Err(_) => self.surrogates(text),
        }
    }

    fn json(&mut self, value: impl serde::Serialize) -> Written {
        // Writing to memory cannot fail, and strings and numbers always serialize.
        serde_json::to_writer(&mut self.out, &value)
            .map_err(|error| Unfit::Python(PyTypeError::new_err(error.to_string())))
    }

    /// A string with lone surrogates has no UTF-8; JSON can still spell it, and boto3 does.
    #[cold]
    fn surrogates(&mut self, text: &Bound<'_, PyString>) -> Written {
        let spelled: String = text.py().import("json")?.call_method1("dumps", (text,))?.extract()?;
        self.out.extend_from_slice(spelled.as_bytes());
        Ok(())
    }

    fn integer(&mut self, number: &Bound<'_, PyInt>) -> Written {
        if let Ok(truth) = number.cast::<PyBool>() {
            return self.boolean(truth);
        }
        match number.extract::<i64>() {
            Ok(number) => self.json(number),
            Err(_) => {
                // Too large for 64 bits; through int's own text, whatever a subclass prints.
                let text = number.py().get_type::<PyInt>().call_method1("__repr__", (number,))?.str()?;
                self.out.extend_from_slice(text.to_str()?.as_bytes());
                Ok(())
            }
        }
    }

    fn boolean(&mut self, truth: &Bound<'_, PyBool>) -> Written {
        self.out.extend_from_slice(if truth.is_true() { b"true" } else { b"false" });
        Ok(())
    }

    fn blob(&mut self, value: &Bound<'_, PyAny>) -> Written {
        if let Ok(bytes) = value.cast::<PyBytes>() {
            self.base64(bytes.as_bytes());
        } else if let Ok(bytes) = value.cast::<PyByteArray>() {
            self.base64(&bytes.to_vec());
        } else if let Ok(text) = value.cast::<PyString>() {
            self.base64(text.to_str()?.as_bytes());
        } else if value.hasattr("read")? {
            let content = value.call_method0("read")?;
            if !content.is_instance_of::<PyBytes>()
                && !content.is_instance_of::<PyByteArray>()
                && !content.is_instance_of::<PyString>()
            {
                let kind = content.get_type().name()?;
                return Err(PyTypeError::new_err(format!("read() of a binary value gave {kind}, not bytes")).into());
            }
            self.blob(&content)?;
        } else if self.strict {
            return Err(Unfit::Invalid);
        } else {
            // What botocore's serializer runs into.
            let kind = value.get_type().name()?;
            return Err(PyTypeError::new_err(format!("a bytes-like object is required, not '{kind}'")).into());
        }
        Ok(())
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        self.out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
        self.out.push(b'"');
    }

    /// A value that is not of its member's type.
    #[cold]
    fn misfit(&mut self, value: &Bound<'_, PyAny>) -> Written {
        if self.strict { Err(Unfit::Invalid) } else { self.any(value) }
    }

    /// Whatever JSON a value makes, as `json.dumps` has it.
    fn any(&mut self, value: &Bound<'_, PyAny>) -> Written {
        if value.is_none() {
            self.out.extend_from_slice(b"null");
            Ok(())
        } else if let Ok(text) = value.cast::<PyString>() {
            self.string(text)
        } else if let Ok(number) = value.cast::<PyInt>() {
            self.integer(number)
        } else {
            // Floats, containers, and the TypeError for what is no JSON at all.
            let text: String = value.py().import("json")?.call_method1("dumps", (value,))?.extract()?;
            self.out.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
}

/// Which member a key names. Keyword names are interned by the compiler, so identity nearly always answers.
fn position(names: &[Py<PyString>], key: &Bound<'_, PyAny>, structure: &Structure) -> Option<usize> {
    names.iter().position(|name| name.as_ptr() == key.as_ptr()).or_else(|| {
        let name = key.cast::<PyString>().ok()?.to_str().ok()?;
        structure.member(name).map(|(position, _)| position)
    })
}

//! Everything that is wrong with an operation's arguments, worded and ordered as botocore's `ParamValidator`.
//!
//! Only reached when `marshal` has refused the arguments; its texts are compared with botocore's by the tests.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use super::entries::Entries;
use super::marshal::UnreadFile;
use super::nested;
use crate::model::{Shape, Structure};

/// Text in WTF-8: UTF-8, and halves of surrogate pairs, which have none, as Python's `surrogatepass` spells them.
type Wtf8 = Vec<u8>;

/// The report that goes into a `ParamValidationError`; none when nothing is wrong.
///
/// Of files that cannot be read boto3 has no complaint: it reads none. They are told of in their places, like the rest.
pub(super) fn report<'py>(
    params: &Bound<'py, PyDict>,
    input: &'static Structure,
    unreadable: &[UnreadFile],
) -> PyResult<Option<Bound<'py, PyString>>> {
    let mut report = Report { complaints: vec![], unreadable };
    // Values are shown as they show themselves.
    nested::run(params.py(), || structure(params.as_any(), input, b"", &mut report))?;
    if report.complaints.is_empty() {
        return Ok(None);
    }
    let text = PyBytes::new(params.py(), &report.complaints.join(&b'\n'));
    PyString::from_encoded_object(&text, Some(c"utf-8"), Some(c"surrogatepass")).map(Some)
}

/// What is wrong, as far as the walk over the arguments has come.
struct Report<'a> {
    complaints: Vec<Wtf8>,
    unreadable: &'a [UnreadFile],
}

fn check(value: &Bound<'_, PyAny>, shape: &'static Shape, name: &[u8], report: &mut Report<'_>) -> PyResult<()> {
    let valid = match shape {
        Shape::String if !value.is_instance_of::<PyString>() => "<class 'str'>",
        Shape::Integer if !value.is_instance_of::<PyInt>() => "<class 'int'>",
        Shape::Boolean if !value.is_instance_of::<PyBool>() => "<class 'bool'>",
        Shape::Blob if !is_blob(value)? => "<class 'bytes'>, <class 'bytearray'>, file-like object",
        Shape::Blob => return file(value, name, report),
        Shape::String | Shape::Integer | Shape::Boolean => return Ok(()),
        Shape::List(member) => return list(value, member, name, report),
        Shape::Map(member) => return map(value, member, name, report),
        Shape::Structure(inner) => return structure(value, inner, name, report),
    };
    invalid_type(value, name, valid, report)
}

fn structure(
    value: &Bound<'_, PyAny>,
    structure: &'static Structure,
    name: &[u8],
    report: &mut Report<'_>,
) -> PyResult<()> {
    let Ok(dict) = value.cast::<PyDict>() else {
        return invalid_type(value, name, "<class 'dict'>", report);
    };
    for required in structure.required {
        if !dict.contains(*required)? {
            let words: [&[u8]; 5] =
                [b"Missing required parameter in ", shown(name), b": \"", required.as_bytes(), b"\""];
            report.complaints.push(words.concat());
        }
    }
    let mut known = Vec::new();
    for entry in Entries::of(dict) {
        let (key, value) = entry?;
        let member = key.cast::<PyString>().ok().and_then(|key| structure.member(key.to_str().ok()?));
        match member {
            Some((_, member)) => known.push((member, value)),
            None => {
                let names: Vec<_> = structure.members.iter().map(|member| member.name).collect();
                let (key, names) = (text(&key)?, names.join(", "));
                let words: [&[u8]; 6] =
                    [b"Unknown parameter in ", shown(name), b": \"", &key, b"\", must be one of: ", names.as_bytes()];
                report.complaints.push(words.concat());
            }
        }
    }
    for (member, value) in known {
        check(&value, &member.shape, &[name, b".", member.name.as_bytes()].concat(), report)?;
    }
    Ok(())
}

fn list(value: &Bound<'_, PyAny>, member: &'static Shape, name: &[u8], report: &mut Report<'_>) -> PyResult<()> {
    if !value.is_instance_of::<PyList>() && !value.is_instance_of::<PyTuple>() {
        return invalid_type(value, name, "<class 'list'>, <class 'tuple'>", report);
    }
    for (index, item) in value.try_iter()?.enumerate() {
        check(&item?, member, &[name, format!("[{index}]").as_bytes()].concat(), report)?;
    }
    Ok(())
}

fn map(value: &Bound<'_, PyAny>, member: &'static Shape, name: &[u8], report: &mut Report<'_>) -> PyResult<()> {
    let Ok(dict) = value.cast::<PyDict>() else {
        return invalid_type(value, name, "<class 'dict'>", report);
    };
    for entry in Entries::of(dict) {
        let (key, value) = entry?;
        let shown_key = text(&key)?;
        check(&key, &Shape::String, &[name, b" (key: ", &shown_key, b")"].concat(), report)?;
        check(&value, member, &[name, b".", &shown_key].concat(), report)?;
    }
    Ok(())
}

fn is_blob(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyByteArray>()
        || value.is_instance_of::<PyString>()
        || value.hasattr("read")?)
}

/// A binary value, which may be a file that could not be read.
fn file(value: &Bound<'_, PyAny>, name: &[u8], report: &mut Report<'_>) -> PyResult<()> {
    let Some(UnreadFile { why, .. }) = report.unreadable.iter().find(|unreadable| unreadable.file.is(value)) else {
        return Ok(());
    };
    let (shown_value, kind) = (text(value)?, why.get_type(value.py()).name()?);
    let why = text(why.value(value.py()).as_any())?;
    let words: [&[u8]; 8] = [
        b"Cannot read the file for parameter ",
        shown(name),
        b", value: ",
        &shown_value,
        b", error: ",
        kind.to_str()?.as_bytes(),
        b": ",
        &why,
    ];
    report.complaints.push(words.concat());
    Ok(())
}

fn invalid_type(value: &Bound<'_, PyAny>, name: &[u8], valid: &str, report: &mut Report<'_>) -> PyResult<()> {
    let (shown_value, kind) = (text(value)?, text(value.get_type().as_any())?);
    let words: [&[u8]; 8] = [
        b"Invalid type for parameter ",
        shown(name),
        b", value: ",
        &shown_value,
        b", type: ",
        &kind,
        b", valid types: ",
        valid.as_bytes(),
    ];
    report.complaints.push(words.concat());
    Ok(())
}

/// `str()` of a value.
fn text(value: &Bound<'_, PyAny>) -> PyResult<Wtf8> {
    let text = value.str()?;
    match text.to_str() {
        Ok(text) => Ok(text.as_bytes().to_vec()),
        Err(_) => Ok(text.call_method1("encode", ("utf-8", "surrogatepass"))?.cast::<PyBytes>()?.as_bytes().to_vec()),
    }
}

/// Paths are built as `.Entries[0].Id`; the arguments as a whole are called `input`.
fn shown(name: &[u8]) -> &[u8] {
    match name {
        b"" => b"input",
        _ => name.strip_prefix(b".").unwrap_or(name),
    }
}

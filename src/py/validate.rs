//! Everything that is wrong with an operation's arguments, worded and ordered as botocore's `ParamValidator`.
//!
//! Only reached when `marshal` has refused the arguments; its texts are compared with botocore's by the tests.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use super::entries::Entries;
use crate::model::{Shape, Structure};

/// The report that goes into a `ParamValidationError`; empty when nothing is wrong.
pub fn report(params: &Bound<'_, PyDict>, input: &'static Structure) -> PyResult<String> {
    let mut complaints = Vec::new();
    structure(params.as_any(), input, "", &mut complaints)?;
    Ok(complaints.join("\n"))
}

fn check(value: &Bound<'_, PyAny>, shape: &'static Shape, name: &str, complaints: &mut Vec<String>) -> PyResult<()> {
    let valid = match shape {
        Shape::String if !value.is_instance_of::<PyString>() => "<class 'str'>",
        Shape::Integer if !value.is_instance_of::<PyInt>() => "<class 'int'>",
        Shape::Boolean if !value.is_instance_of::<PyBool>() => "<class 'bool'>",
        Shape::Blob if !is_blob(value)? => "<class 'bytes'>, <class 'bytearray'>, file-like object",
        Shape::String | Shape::Integer | Shape::Boolean | Shape::Blob => return Ok(()),
        Shape::List(member) => return list(value, member, name, complaints),
        Shape::Map(member) => return map(value, member, name, complaints),
        Shape::Structure(inner) => return structure(value, inner, name, complaints),
    };
    invalid_type(value, name, valid, complaints)
}

fn structure(
    value: &Bound<'_, PyAny>,
    structure: &'static Structure,
    name: &str,
    complaints: &mut Vec<String>,
) -> PyResult<()> {
    let Ok(dict) = value.cast::<PyDict>() else {
        return invalid_type(value, name, "<class 'dict'>", complaints);
    };
    for required in structure.required {
        if !dict.contains(*required)? {
            complaints.push(format!("Missing required parameter in {}: \"{required}\"", shown(name)));
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
                complaints.push(format!(
                    "Unknown parameter in {}: \"{}\", must be one of: {}",
                    shown(name),
                    text(&key)?,
                    names.join(", ")
                ));
            }
        }
    }
    for (member, value) in known {
        check(&value, &member.shape, &format!("{name}.{}", member.name), complaints)?;
    }
    Ok(())
}

fn list(value: &Bound<'_, PyAny>, member: &'static Shape, name: &str, complaints: &mut Vec<String>) -> PyResult<()> {
    if !value.is_instance_of::<PyList>() && !value.is_instance_of::<PyTuple>() {
        return invalid_type(value, name, "<class 'list'>, <class 'tuple'>", complaints);
    }
    for (index, item) in value.try_iter()?.enumerate() {
        check(&item?, member, &format!("{name}[{index}]"), complaints)?;
    }
    Ok(())
}

fn map(value: &Bound<'_, PyAny>, member: &'static Shape, name: &str, complaints: &mut Vec<String>) -> PyResult<()> {
    let Ok(dict) = value.cast::<PyDict>() else {
        return invalid_type(value, name, "<class 'dict'>", complaints);
    };
    for entry in Entries::of(dict) {
        let (key, value) = entry?;
        let shown_key = text(&key)?;
        check(&key, &Shape::String, &format!("{name} (key: {shown_key})"), complaints)?;
        check(&value, member, &format!("{name}.{shown_key}"), complaints)?;
    }
    Ok(())
}

fn is_blob(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyByteArray>()
        || value.is_instance_of::<PyString>()
        || value.hasattr("read")?)
}

fn invalid_type(value: &Bound<'_, PyAny>, name: &str, valid: &str, complaints: &mut Vec<String>) -> PyResult<()> {
    complaints.push(format!(
        "Invalid type for parameter {}, value: {}, type: {}, valid types: {valid}",
        shown(name),
        text(value)?,
        value.get_type().str()?.to_string_lossy(),
    ));
    Ok(())
}

/// `str()` of a value. A lone surrogate, which has no UTF-8, shows as the replacement character.
fn text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(value.str()?.to_string_lossy().into_owned())
}

/// Paths are built as `.Entries[0].Id`; the arguments as a whole are called `input`.
fn shown(name: &str) -> &str {
    match name {
        "" => "input",
        _ => name.strip_prefix('.').unwrap_or(name),
    }
}

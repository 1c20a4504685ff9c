//! Keyword arguments to JSON, in one pass over the model.
//!
//! The pass only notices *that* something does not fit; `validate` then walks the arguments once more, in
//! botocore's order, to say everything that is wrong. The two agree: what does not marshal has a complaint.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pyo3::exceptions::{PyAttributeError, PyException, PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use super::entries::Entries;
use super::{names, nested, validate};
use crate::model::{Member, Shape, Structure};
use crate::protocol::entry::Entry;
use crate::protocol::quote::push_quoted;

/// Why a value could not be written.
pub(super) enum Unfit {
    /// It breaks the model; the complaint is `validate`'s to make.
    Invalid,
    /// Files cannot be read, and nothing else is wrong.
    Unreadable(Vec<UnreadFile>),
    Python(PyErr),
}

/// A file that stands for a binary value and cannot be read.
pub(super) struct UnreadFile {
    pub file: Py<PyAny>,
    pub why: PyErr,
}

impl From<PyErr> for Unfit {
    fn from(error: PyErr) -> Self {
        Unfit::Python(error)
    }
}

/// Whether a value could be written.
type Written = Result<(), Unfit>;

/// Write the arguments of an operation as JSON; with it comes how many bytes of messages are in it, as SQS counts them.
///
/// Without `strict` (boto3's `parameter_validation=False`) a value of the wrong type travels as whatever JSON it
/// makes, for the service to judge.
pub(super) fn to_json(
    params: &Bound<'_, PyDict>,
    input: &'static Structure,
    strict: bool,
) -> Result<(Vec<u8>, usize), Unfit> {
    write(params, input, strict, |marshal| {
        marshal.structure(params, input)?;
        Ok((std::mem::take(&mut marshal.out), marshal.payload))
    })
}

/// Write the arguments of an operation on one message as an entry, beside its queue.
///
/// `None`: nothing says which queue, or what it says is no text, so that there is nothing to batch by; that gets through
/// validation only when there is none.
pub(super) fn to_entry(
    params: &Bound<'_, PyDict>,
    input: &'static Structure,
    strict: bool,
) -> Result<Option<(Vec<u8>, Entry)>, Unfit> {
    write(params, input, strict, entry)
}

/// Write arguments. If there are files among them this happens twice: a file is read only when everything else can be written, since
/// what is read from it is gone.
fn write<'a, 'py, T>(
    params: &'a Bound<'py, PyDict>,
    input: &'static Structure,
    strict: bool,
    work: impl Fn(&mut Marshal<'a, 'py>) -> Result<T, Unfit>,
) -> Result<T, Unfit> {
    let mut marshal = Marshal::new(params, input, strict, Files::Unread);
    let written = work(&mut marshal).map_err(|unfit| marshal.why(unfit))?;
    match marshal.files {
        Files::Met => {
            let mut reading = Marshal::new(params, input, strict, Files::Read);
            let written = work(&mut reading)?;
            if reading.unreadable.is_empty() { Ok(written) } else { Err(Unfit::Unreadable(reading.unreadable)) }
        }
        Files::Unread | Files::Read => Ok(written),
    }
}

fn entry(marshal: &mut Marshal<'_, '_>) -> Result<Option<(Vec<u8>, Entry)>, Unfit> {
    let Marshal { params, input, strict, .. } = *marshal;
    let names = names::of(params.py(), input);
    let (mut queue, mut group, mut seen) = (None, None, 0u64);
    for entry in Entries::of(params) {
        let (key, value) = entry?;
        let (place, member) = marshal.known(names, &key, input)?;
        seen |= 1 << place;
        let start = marshal.out.len();
        match member.name {
            "QueueUrl" => {
                let Ok(url) = value.cast::<PyString>() else {
                    return if strict { Err(Unfit::Invalid) } else { Ok(None) };
                };
                marshal.string(url)?;
                queue = Some(marshal.out.split_off(start));
                continue;
            }
            "MessageGroupId" => {
                group = value.cast::<PyString>().ok().and_then(|group| Some(group.to_str().ok()?.into()))
            }
            _ => {}
        }
        marshal.named(member, &value)?;
        marshal.out.push(b',');
    }
    if strict && is_missing(input, seen) {
        return Err(Unfit::Invalid);
    }
    // The last comma, if there is anything but a queue.
    marshal.out.pop();
    marshal.out.push(b'}');
    let members = std::mem::take(&mut marshal.out).into_boxed_slice();
    let size = marshal.payload;
    Ok(queue.map(|queue| (queue, Entry { members, size, group, not_after: None, trace: None, tag: 0 })))
}

/// Room for what is written, as a rule. To move three kilobytes three times is a tenth of the writing.
fn capacity(input: &Structure) -> usize {
    let is_batch = input.members.iter().any(|member| matches!(member.shape, Shape::List(Shape::Structure(_))));
    if is_batch { 4096 } else { 512 }
}

/// Whether SQS counts a member's bytes against the limit of a request. A system attribute does not count.
fn is_counted(member: &str) -> bool {
    matches!(member, "MessageBody" | "MessageAttributes")
}

/// `seen`: a bit for each member that was there.
fn is_missing(structure: &Structure, seen: u64) -> bool {
    structure.required_bits & !seen != 0
}

/// What is done about files that stand for binary values.
#[derive(Clone, Copy)]
enum Files {
    /// Nothing is read, and there was none so far.
    Unread,
    /// Nothing is read, and there was one.
    Met,
    Read,
}

/// The writing of one call's arguments.
struct Marshal<'a, 'py> {
    /// All of it, and its shape.
    params: &'a Bound<'py, PyDict>,
    input: &'static Structure,
    out: Vec<u8>,
    strict: bool,
    files: Files,
    /// The files that could not be read so far.
    unreadable: Vec<UnreadFile>,
    /// Bytes of text and of binary values in members that [count](is_counted), names of map entries included: what SQS counts.
    payload: usize,
    /// What is written belongs to such a member.
    counts: bool,
}

impl<'a, 'py> Marshal<'a, 'py> {
    fn new(params: &'a Bound<'py, PyDict>, input: &'static Structure, strict: bool, files: Files) -> Marshal<'a, 'py> {
        Marshal {
            params,
            input,
            out: Vec::with_capacity(capacity(input)),
            strict,
            files,
            unreadable: vec![],
            payload: 0,
            counts: false,
        }
    }

    /// Of all that is wrong: what breaks the model comes first, wherever it stands, and all of it.
    #[cold]
    fn why(&self, unfit: Unfit) -> Unfit {
        match unfit {
            Unfit::Python(_)
                if self.strict && matches!(validate::report(self.params, self.input, &[]), Ok(Some(_))) =>
            {
                Unfit::Invalid
            }
            unfit => unfit,
        }
    }

    fn value(&mut self, value: &Bound<'py, PyAny>, shape: &'static Shape) -> Written {
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

    fn structure(&mut self, dict: &Bound<'py, PyDict>, structure: &'static Structure) -> Written {
        let names = names::of(dict.py(), structure);
        let mut seen = 0u64;
        self.out.push(b'{');
        for (count, entry) in Entries::of(dict).enumerate() {
            let (key, value) = entry?;
            let (place, member) = self.known(names, &key, structure)?;
            seen |= 1 << place;
            if count > 0 {
                self.out.push(b',');
            }
            self.named(member, &value)?;
        }
        self.out.push(b'}');
        if self.strict && is_missing(structure, seen) { Err(Unfit::Invalid) } else { Ok(()) }
    }

    /// The member that a key names.
    fn known(
        &self,
        names: &[Py<PyString>],
        key: &Bound<'_, PyAny>,
        structure: &'static Structure,
    ) -> Result<(usize, &'static Member), Unfit> {
        match position(names, key, structure).and_then(|place| Some((place, structure.members.get(place)?))) {
            Some(known) => Ok(known),
            None if self.strict => Err(Unfit::Invalid),
            None => Err(PyKeyError::new_err(key.clone().unbind()).into()),
        }
    }

    fn named(&mut self, member: &'static Member, value: &Bound<'py, PyAny>) -> Written {
        // Member names are plain ASCII identifiers.
        self.out.push(b'"');
        self.out.extend_from_slice(member.name.as_bytes());
        self.out.extend_from_slice(b"\":");
        let counts = self.counts;
        self.counts |= is_counted(member.name);
        let written = self.value(value, &member.shape);
        self.counts = counts;
        written
    }

    fn list(&mut self, items: impl Iterator<Item = Bound<'py, PyAny>>, member: &'static Shape) -> Written {
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

    fn map(&mut self, dict: &Bound<'py, PyDict>, member: &'static Shape) -> Written {
        self.out.push(b'{');
        for (count, entry) in Entries::of(dict).enumerate() {
            let (key, value) = entry?;
            if count > 0 {
                self.out.push(b',');
            }
            match key.cast::<PyString>() {
                Ok(key) => self.string(key)?,
                Err(_) if self.strict => return Err(Unfit::Invalid),
                Err(_) => self.string(&nested::run(key.py(), || key.str())?)?,
            }
            self.out.push(b':');
            self.value(&value, member)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn items_of<'b>(&self, value: &'b Bound<'py, PyAny>) -> Result<&'b Bound<'py, PyDict>, Unfit> {
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
            Ok(text) => {
                self.count(text.len());
                push_quoted(&mut self.out, text);
                Ok(())
            }
            Err(_) => self.surrogates(text),
        }
    }

    fn count(&mut self, bytes: usize) {
        if self.counts {
            self.payload += bytes;
        }
    }

    /// A string with lone surrogates has no UTF-8; JSON can still spell it, and boto3 does.
    #[cold]
    fn surrogates(&mut self, text: &Bound<'_, PyString>) -> Written {
        // The one method of str, whatever a subclass has.
        let bytes = text.py().get_type::<PyString>().call_method1("encode", (text, "utf-8", "surrogatepass"))?;
        let mut rest = bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes();
        self.count(rest.len());
        self.out.push(b'"');
        loop {
            let (whole, half) = match std::str::from_utf8(rest) {
                Ok(text) => (text, None),
                Err(error) => {
                    let (text, half) = rest.split_at_checked(error.valid_up_to()).unwrap_or_default();
                    (std::str::from_utf8(text).unwrap_or_default(), half.split_first_chunk::<3>())
                }
            };
            let quoted = serde_json::to_string(whole).unwrap_or_default();
            self.out.extend_from_slice(quoted.get(1..quoted.len() - 1).unwrap_or_default().as_bytes());
            let Some(([first, second, third], behind)) = half else { break };
            let [first, second, third] = [first & 0xF, second & 0x3F, third & 0x3F].map(u16::from);
            self.out.extend_from_slice(format!("\\u{:04x}", first << 12 | second << 6 | third).as_bytes());
            rest = behind;
        }
        self.out.push(b'"');
        Ok(())
    }

    fn integer(&mut self, number: &Bound<'_, PyInt>) -> Written {
        if let Ok(truth) = number.cast::<PyBool>() {
            return self.boolean(truth);
        }
        match number.extract::<i64>() {
            Ok(number) => {
                self.out.extend_from_slice(number.to_string().as_bytes());
                Ok(())
            }
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
        } else if nested::run(value.py(), || value.hasattr("read"))? {
            if !matches!(self.files, Files::Read) {
                self.files = Files::Met;
                return Ok(());
            }
            match (self.file(value), value.py()) {
                // To be told of all of them, and of where they stand.
                (Err(Unfit::Python(why)), py) if self.strict && why.is_instance_of::<PyException>(py) => {
                    self.unreadable.push(UnreadFile { file: value.clone().unbind(), why });
                }
                (read, _) => read?,
            }
        } else if self.strict {
            return Err(Unfit::Invalid);
        } else {
            // What botocore's serializer runs into.
            let kind = value.get_type().name()?;
            return Err(PyTypeError::new_err(format!("a bytes-like object is required, not '{kind}'")).into());
        }
        Ok(())
    }

    /// What is read from a file.
    fn file(&mut self, file: &Bound<'_, PyAny>) -> Written {
        let content = nested::run(file.py(), || file.call_method0("read"))?;
        if !content.is_instance_of::<PyBytes>()
            && !content.is_instance_of::<PyByteArray>()
            && !content.is_instance_of::<PyString>()
        {
            let kind = content.get_type().name()?;
            return Err(PyTypeError::new_err(format!("read() of a binary value gave {kind}, not bytes")).into());
        }
        self.blob(&content)
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
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
            let py = value.py();
            let text = nested::run(py, || py.import("json")?.call_method1("dumps", (value,)))?;
            self.out.extend_from_slice(text.extract::<String>()?.as_bytes());
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

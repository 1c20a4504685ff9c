//! HTTP/1.1 as a client speaks it, over bytes alone: what is sent for a request, and what comes back for it.
//!
//! Who carries the bytes, and waits for them, is no concern of this. Ours and not hyper's client, whose channels, tasks and maps of
//! headers are made for requests that overlap and bodies that stream: there is one request at a time here, its body is in memory, and a
//! reply counts when it is whole.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{Method, Uri};
use httparse::{Header, ParserConfig, Status};

use crate::protocol::headers::ReplyHeaders;

/// The longest reply that is read: twice what ten messages of 1 MiB come to if every byte is written as an escape of six.
pub(super) const MAX_REPLY: usize = 120 << 20;
/// What a peer says will come is believed up to this: ten messages of 1 MiB, written as JSON.
const MAX_ANNOUNCED: usize = 16 << 20;
/// The longest head, with as many headers as [`MAX_HEADERS`]; and all interim ones before it together.
const MAX_HEAD: usize = 256 << 10;
const MAX_HEADERS: usize = 100;
/// The longest line between chunks, what all of them say beside sizes, and all trailers together.
const MAX_LINE: usize = 16 << 10;
/// The most digits of a chunk's size, and the end of the line.
const SIZE_LINE: usize = 18;

/// A request, ready to be sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::transport) struct HttpRequestParts<'a> {
    pub method: &'a Method,
    /// Absolute.
    pub uri: &'a Uri,
    /// Its headers as lines, each with its end; `Host` and `Content-Length` among them.
    pub headers: &'a [u8],
    pub body: &'a [u8],
}

impl HttpRequestParts<'_> {
    /// The head as it is sent: to SQS itself, or to a proxy that forwards it, which may want an authorization.
    pub(super) fn head(&self, forwarding: Option<&Option<String>>) -> Vec<u8> {
        let mut head = Vec::with_capacity(self.headers.len() + 256);
        head.extend_from_slice(self.method.as_str().as_bytes());
        head.push(b' ');
        match forwarding {
            None => head.extend_from_slice(self.uri.path_and_query().map_or("/", PathAndQuery::as_str).as_bytes()),
            Some(_) => head.extend_from_slice(self.uri.to_string().as_bytes()),
        }
        head.extend_from_slice(b" HTTP/1.1\r\n");
        head.extend_from_slice(self.headers);
        if let Some(Some(authorization)) = forwarding {
            push_header(&mut head, "proxy-authorization", authorization.as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

/// Append a header's line. Neither part may have an end of a line in it.
pub(in crate::transport) fn push_header(lines: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        lines.extend_from_slice(part);
    }
}

/// A reply, whole.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::transport) struct HttpReply {
    pub status: u16,
    pub headers: ReplyHeaders,
    pub body: Bytes,
    /// Whether the peer will take another request on the connection.
    pub keeps: bool,
}

/// Why no reply can be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UnreadableReply {
    /// It is no HTTP.
    Invalid(&'static str),
    /// It is longer than [`MAX_REPLY`]: so many bytes, or more, as the peer says before it sends them, or as have come.
    TooLong(usize),
}

/// Reads the reply to one request out of what has come so far.
#[derive(Debug, Default)]
pub(super) struct ReplyReader {
    head: Option<ReplyHead>,
    /// How many bytes of interim replies have been passed over.
    passed: usize,
    /// What has come of a body in chunks.
    body: BytesMut,
    /// How many bytes its chunks have had beside their sizes.
    extensions: usize,
}

/// A reply's head, and where the body ends.
#[derive(Debug)]
struct ReplyHead {
    status: u16,
    headers: ReplyHeaders,
    keeps: bool,
    end: BodyEnd,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyEnd {
    After(usize),
    /// With the chunk that is empty, and trailers.
    Chunks(ChunkPart),
    /// Where the peer ends the connection.
    Close,
}

/// What comes next of a body in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkPart {
    Size,
    /// So many bytes, and the end of a line.
    Data(usize),
    DataEnd,
    /// Of which so many bytes have been passed over.
    Trailers(usize),
}

impl ReplyReader {
    /// Take the reply out of the buffer; `None`: the rest of it has to come first.
    pub(super) fn read(&mut self, buffer: &mut BytesMut) -> Result<Option<HttpReply>, UnreadableReply> {
        if self.head.is_none() {
            self.head = final_head(buffer, &mut self.passed)?;
        }
        let Some(head) = &mut self.head else { return Ok(None) };
        let body = match &mut head.end {
            // Before the rest of it is read: none of it would be of use.
            BodyEnd::After(length) if *length > MAX_REPLY => return Err(UnreadableReply::TooLong(*length)),
            BodyEnd::After(length) if buffer.len() < *length => {
                buffer.reserve((*length - buffer.len()).min(MAX_ANNOUNCED));
                return Ok(None);
            }
            BodyEnd::After(length) => buffer.split_to(*length).freeze(),
            BodyEnd::Chunks(next) => {
                if !read_chunks(next, buffer, &mut self.body, &mut self.extensions)? {
                    return Ok(None);
                }
                std::mem::take(&mut self.body).freeze()
            }
            BodyEnd::Close if buffer.len() > MAX_REPLY => return Err(UnreadableReply::TooLong(buffer.len())),
            BodyEnd::Close => return Ok(None),
        };
        Ok(self.whole(body))
    }

    /// The reply, if the end of the connection is what it ends with.
    pub(super) fn end(mut self, buffer: &mut BytesMut) -> Option<HttpReply> {
        match self.head.as_ref()?.end {
            BodyEnd::Close => self.whole(buffer.split().freeze()),
            _ => None,
        }
    }

    fn whole(&mut self, body: Bytes) -> Option<HttpReply> {
        let ReplyHead { status, headers, keeps, .. } = self.head.take()?;
        Some(HttpReply { status, headers, body, keeps })
    }
}

/// The head of the reply that is no interim one; `passed` counts the bytes of those that were.
fn final_head(buffer: &mut BytesMut, passed: &mut usize) -> Result<Option<ReplyHead>, UnreadableReply> {
    const TOO_LONG: UnreadableReply = UnreadableReply::Invalid("the reply's head is too long");
    loop {
        if buffer.is_empty() {
            return Ok(None);
        }
        match parse_head(buffer)? {
            None if buffer.len() > MAX_HEAD => return Err(TOO_LONG),
            None => return Ok(None),
            Some((length, _)) if length > MAX_HEAD => return Err(TOO_LONG),
            Some((length, head)) => {
                buffer.advance(length);
                if head.status == 101 || head.status >= 200 {
                    return Ok(Some(head));
                }
                *passed += length;
                if *passed > MAX_HEAD {
                    return Err(UnreadableReply::Invalid("there are too many interim replies"));
                }
            }
        }
    }
}

/// A head, and how long it is.
fn parse_head(bytes: &[u8]) -> Result<Option<(usize, ReplyHead)>, UnreadableReply> {
    let mut places = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut places);
    let length = match parsed {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(UnreadableReply::Invalid("the reply has too many headers")),
        Err(_) => return Err(UnreadableReply::Invalid("the reply is no HTTP")),
    };
    let (status, is_newer) = (response.code.unwrap_or_default(), response.version == Some(1));
    let end = body_end(status, is_newer, response.headers)?;
    let keeps = keeps(is_newer, response.headers) && end != BodyEnd::Close && status != 101;
    let headers = ReplyHeaders::of(response.headers.iter().map(|header| (header.name, header.value)));
    Ok(Some((length, ReplyHead { status, headers, keeps, end })))
}

/// RFC 9112, 6.3. Only what was asked by HEAD or CONNECT ends otherwise, and neither is asked here.
fn body_end(status: u16, is_newer: bool, headers: &[Header<'_>]) -> Result<BodyEnd, UnreadableReply> {
    if status < 200 || status == 204 || status == 304 {
        return Ok(BodyEnd::After(0));
    }
    if let Some(last) = values(headers, "transfer-encoding").last() {
        if !is_newer {
            return Err(UnreadableReply::Invalid("the reply is HTTP/1.0 and has a transfer encoding"));
        }
        let is_chunked = tokens(last).last().is_some_and(|token| token.eq_ignore_ascii_case(b"chunked"));
        return Ok(if is_chunked { BodyEnd::Chunks(ChunkPart::Size) } else { BodyEnd::Close });
    }
    let mut lengths = values(headers, "content-length").flat_map(tokens).map(number);
    let Some(first) = lengths.next() else { return Ok(BodyEnd::Close) };
    match first {
        Some(length) if lengths.all(|other| other == Some(length)) => Ok(BodyEnd::After(length)),
        _ => Err(UnreadableReply::Invalid("the reply's length is none")),
    }
}

fn keeps(is_newer: bool, headers: &[Header<'_>]) -> bool {
    let mut options = values(headers, "connection").flat_map(tokens);
    if is_newer {
        !options.any(|option| option.eq_ignore_ascii_case(b"close"))
    } else {
        options.any(|option| option.eq_ignore_ascii_case(b"keep-alive"))
    }
}

fn values<'a>(headers: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Digits and nothing else.
fn number(text: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    // What does not fit into a number is too long for anything.
    if digits.is_empty() { None } else { Some(digits.parse().unwrap_or(usize::MAX)) }
}

/// Move what has come of chunks to the body. Whether that is the whole of it.
fn read_chunks(
    next: &mut ChunkPart,
    buffer: &mut BytesMut,
    body: &mut BytesMut,
    extensions: &mut usize,
) -> Result<bool, UnreadableReply> {
    const INVALID: UnreadableReply = UnreadableReply::Invalid("the reply's chunks are none");
    loop {
        match next {
            ChunkPart::Size => match httparse::parse_chunk_size(buffer) {
                Ok(Status::Complete((length, size))) => {
                    buffer.advance(length);
                    *extensions += length.saturating_sub(SIZE_LINE);
                    if *extensions > MAX_LINE {
                        return Err(INVALID);
                    }
                    let size = usize::try_from(size).unwrap_or(usize::MAX);
                    let announced = body.len().saturating_add(size);
                    if announced > MAX_REPLY {
                        return Err(UnreadableReply::TooLong(announced));
                    }
                    *next = if size == 0 { ChunkPart::Trailers(0) } else { ChunkPart::Data(size) };
                }
                Ok(Status::Partial) if buffer.len() <= MAX_LINE => return Ok(false),
                _ => return Err(INVALID),
            },
            ChunkPart::Data(left) => {
                let part = buffer.split_to(buffer.len().min(*left));
                *left -= part.len();
                body.extend_from_slice(&part);
                if *left > 0 {
                    return Ok(false);
                }
                *next = ChunkPart::DataEnd;
            }
            ChunkPart::DataEnd => match buffer.get(..2) {
                Some(b"\r\n") => {
                    buffer.advance(2);
                    *next = ChunkPart::Size;
                }
                None => return Ok(false),
                Some(_) => return Err(INVALID),
            },
            ChunkPart::Trailers(passed) => match buffer.windows(2).position(|pair| pair == b"\r\n") {
                Some(length) => {
                    buffer.advance(length + 2);
                    if length == 0 {
                        return Ok(true);
                    }
                    *passed += length + 2;
                    if *passed > MAX_LINE {
                        return Err(INVALID);
                    }
                }
                None if buffer.len() <= MAX_LINE => return Ok(false),
                None => return Err(INVALID),
            },
        }
    }
}

/// The bytes that the value of a reply's header was read from.
pub(super) fn of_latin_1(value: &str) -> Vec<u8> {
    value.chars().map(|character| u8::try_from(character).unwrap_or(b'?')).collect()
}

#[cfg(test)]
mod tests;

use super::*;

/// What a reader makes of bytes that come in two parts, and then no more; and what it leaves.
fn read(bytes: &[u8], split: usize) -> (Result<Option<HttpReply>, UnreadableReply>, usize) {
    let (mut reader, mut buffer) = (ReplyReader::default(), BytesMut::new());
    let (first, second) = bytes.split_at(split);
    for part in [first, second] {
        buffer.extend_from_slice(part);
        match reader.read(&mut buffer) {
            Ok(None) => {}
            done if part.len() == second.len() || done.is_err() => return (done, buffer.len()),
            // It needed no more than the first.
            Ok(done) => return (Ok(done), buffer.len() + second.len()),
            Err(_) => unreachable!(),
        }
    }
    let reply = reader.end(&mut buffer);
    (Ok(reply), buffer.len())
}

/// The same, wherever it is split.
fn read_anyhow(text: &str) -> (Result<Option<HttpReply>, UnreadableReply>, usize) {
    let (expected, rest) = read(text.as_bytes(), 0);
    for split in 0..=text.len() {
        let (reply, left) = read(text.as_bytes(), split);
        assert_eq!(reply, expected, "{text:?} at {split}");
        // Of what is none nothing is read on.
        assert!(left == rest || reply.is_err(), "{text:?} at {split}");
    }
    (expected, rest)
}

#[test]
fn replies_end_where_they_say() {
    for (text, body, keeps) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "{}", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\nContent-Length: 2\r\n\r\n{}", "{}", true),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "", true),
        ("\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true),
        ("HTTP/1.1 204 No\r\n\r\n", "", true),
        ("HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", "", true),
        ("HTTP/1.1 200 OK\r\nConnection: a, CLOSE\r\nContent-Length: 1\r\n\r\nx", "x", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", false),
        ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", "x", true),
        ("HTTP/1.1 200 OK\r\n\r\nall of it", "all of it", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nall", "all", false),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            "x",
            true,
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "{}", true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: a, Chunked\r\nContent-Length: 1\r\n\r\n1;a=b\r\n{\r\nA\r\n0123456789\r\n0\r\nX: y\r\nZ: \r\n\r\n",
            "{0123456789",
            true,
        ),
    ] {
        let (reply, rest) = read_anyhow(text);
        let reply = reply.unwrap().unwrap_or_else(|| panic!("{text}"));
        assert_eq!((&*reply.body, reply.keeps, rest), (body.as_bytes(), keeps, 0), "{text}");
    }
}

#[test]
fn what_is_behind_a_reply_stays() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nHTTP",
    ] {
        let (reply, rest) = read_anyhow(text);
        assert_eq!((&*reply.unwrap().unwrap().body, rest), (&b"x"[..], 4), "{text}");
    }
}

#[test]
fn half_a_reply_is_none() {
    for text in [
        "",
        "HTTP/1.1 20",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nA: b\r\n",
    ] {
        assert_eq!(read_anyhow(text).0, Ok(None), "{text}");
    }
}

#[test]
fn what_is_no_http_is_refused() {
    for text in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    ] {
        assert!(matches!(read_anyhow(text).0, Err(UnreadableReply::Invalid(_))), "{text}");
    }
    let long = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(MAX_HEAD));
    let whole = format!("{long}\r\n\r\n");
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS + 1));
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let trailers = format!("{chunks}0\r\n{}", "A: b\r\n".repeat(MAX_LINE / 6 + 1));
    let extension = format!("{chunks}1;{}", "x".repeat(MAX_LINE));
    let trailer = format!("{chunks}0\r\nA: {}", "x".repeat(MAX_LINE));
    for text in [long, whole, many, trailers, extension, trailer] {
        assert!(matches!(read(text.as_bytes(), 0).0, Err(UnreadableReply::Invalid(_))), "{}", &text[..80]);
    }
}

#[test]
fn a_reply_that_is_too_long_is_refused_before_it_comes() {
    let (longest, chunks) = (MAX_REPLY, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (text, length) in [
        (format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", longest + 1), longest + 1),
        ("HTTP/1.1 500 No\r\nContent-Length: 99999999999999999999999\r\n\r\n".to_owned(), usize::MAX),
        (format!("{chunks}{:x}\r\n", longest + 1), longest + 1),
        (format!("{chunks}1\r\nx\r\n{longest:x}\r\n"), longest + 1),
        (format!("{chunks}1\r\nx\r\nFFFFFFFFFFFFFFFF\r\n"), usize::MAX),
    ] {
        assert_eq!(read_anyhow(&text).0, Err(UnreadableReply::TooLong(length)), "{text}");
    }
    for text in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: {longest}\r\n\r\n"),
        format!("{chunks}1\r\nx\r\n{:x}\r\n", longest - 1),
        // It has no body, whatever it says.
        "HTTP/1.1 100 Continue\r\nContent-Length: 99999999999999999999999\r\n\r\n".to_owned(),
    ] {
        assert_eq!(read_anyhow(&text).0, Ok(None), "{text}");
    }
    let mut buffer = BytesMut::from("HTTP/1.1 200 OK\r\n\r\n");
    let mut reader = ReplyReader::default();
    assert_eq!(reader.read(&mut buffer), Ok(None));
    buffer.resize(longest + 1, b' ');
    assert_eq!(reader.read(&mut buffer), Err(UnreadableReply::TooLong(longest + 1)));
}

#[test]
fn what_is_no_body_has_an_end_as_well() {
    let interim = "HTTP/1.1 103 Hints\r\nA: b\r\n\r\n";
    let chunk = format!("1;{}\r\nx\r\n", "a".repeat(1 << 10));
    for (start, part, end) in [
        ("", interim, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &chunk, "0\r\n\r\n"),
    ] {
        for (count, is_read) in [(8, true), (20_000, false)] {
            let (mut reader, mut buffer) = (ReplyReader::default(), BytesMut::from(start));
            let mut come = Ok(None);
            for part in std::iter::repeat_n(part, count).chain([end]) {
                buffer.extend_from_slice(part.as_bytes());
                come = reader.read(&mut buffer);
                if come != Ok(None) {
                    break;
                }
            }
            let reply = come.as_ref().is_ok_and(Option::is_some);
            assert_eq!(reply, is_read, "{count} of {part:.80}: {:?}", come.as_ref().err());
            assert!(is_read || matches!(come, Err(UnreadableReply::Invalid(_))), "{count} of {part:.80}");
        }
    }
}

#[test]
fn headers_are_a_character_for_each_byte() {
    let mut buffer = BytesMut::from(&b"HTTP/1.1 200 OK\r\nX-A:  b \r\nx-a: \xe9\xff\r\nContent-Length: 0\r\n\r\n"[..]);
    let reply = ReplyReader::default().read(&mut buffer).unwrap().unwrap();
    let headers: Vec<(&str, &str)> = reply.headers.iter().collect();
    assert_eq!(headers, [("x-a", "b"), ("x-a", "\u{e9}\u{ff}"), ("content-length", "0")]);
    assert_eq!(of_latin_1("\u{e9}\u{ff}b"), b"\xe9\xffb");
}

#[test]
fn heads_are_written_for_the_next_hop() {
    let uri = Uri::from_static("http://h.test:1/a?b");
    let outgoing = HttpRequestParts { method: &Method::POST, uri: &uri, headers: b"host: h\r\n", body: b"{}" };
    let text = |forwarding: Option<&Option<String>>| String::from_utf8(outgoing.head(forwarding)).unwrap();
    assert_eq!(text(None), "POST /a?b HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(text(Some(&None)), "POST http://h.test:1/a?b HTTP/1.1\r\nhost: h\r\n\r\n");
    let authorized = "POST http://h.test:1/a?b HTTP/1.1\r\nhost: h\r\nproxy-authorization: x y\r\n\r\n";
    assert_eq!(text(Some(&Some("x y".into()))), authorized);
}

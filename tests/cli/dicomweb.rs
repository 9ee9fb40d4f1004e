//! `serve`: DICOMweb as clients ask for it (`PS3.18`).

use healthimaging_phantoms::{Phantom, VR, tags};
use serde_json::{Value, json};

use crate::http::{Answer, Served};
use crate::rig::{Rig, text};

/// A server of two series of three slices, and where its DICOMweb is.
struct Web {
    served: Served,
    base: String,
    study: String,
    _rig: Rig,
}

impl Web {
    fn new() -> Self {
        let rig = Rig::new();
        let scans = rig.scans();
        assert!(rig.run(&["import", text(&scans)]).status.success());
        let stores = rig.call("list_datastores", &json!({}));
        let store = stores["datastore_summaries"][0]["datastore_id"].as_str().unwrap().to_owned();
        let served = Served::start(&rig, &[]);
        let base = format!("/datastore/{store}");
        let mut web = Self { served, base, study: String::new(), _rig: rig };
        web.study = first(&web.get("/studies", "").json()[0], "0020000D");
        web
    }

    fn get(&self, path: &str, headers: &str) -> Answer {
        self.served.answer(&format!("GET {}{path}", self.base), headers, b"")
    }

    fn post(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        self.served.answer(&format!("POST {}{path}", self.base), headers, body)
    }

    fn of_study(&self, path: &str, headers: &str) -> Answer {
        self.get(&format!("/studies/{}{path}", self.study), headers)
    }

    /// The UIDs of the series.
    fn series(&self) -> Vec<String> {
        let found = self.of_study("/series", "").json();
        found.as_array().unwrap().iter().map(|one| first(one, "0020000E")).collect()
    }
}

fn first(data_set: &Value, tag: &str) -> String {
    data_set[tag]["Value"][0].as_str().unwrap().to_owned()
}

/// The media types and contents of the parts of an answer.
pub(crate) fn parts(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    located(answer).into_iter().map(|(media, _, content)| (media, content)).collect()
}

/// The media types, locations and contents of the parts of an answer.
fn located(answer: &Answer) -> Vec<(String, String, Vec<u8>)> {
    let boundary = answer.header("content-type").unwrap().split_once("boundary=").unwrap().1;
    let delimiter = format!("--{boundary}");
    let places: Vec<usize> = (0..answer.body.len())
        .filter(|&at| answer.body[at..].starts_with(delimiter.as_bytes()))
        .collect();
    assert!(answer.body.ends_with(format!("{delimiter}--\r\n").as_bytes()));
    let part = |at: &[usize]| {
        let part = &answer.body[at[0]..at[1] - 2];
        let end = part.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(part[..end].to_vec()).unwrap();
        let (media, location) = head.split_once("\r\nContent-Location: ").unwrap();
        let media = media.split_once("Content-Type: ").unwrap().1.to_owned();
        (media, location.to_owned(), part[end + 4..].to_vec())
    };
    places.windows(2).map(part).collect()
}

#[test]
fn studies_and_series_are_retrieved_whole() {
    let web = Web::new();
    let series = web.series();
    for (path, count) in [(String::new(), 6), (format!("/series/{}", series[1]), 3)] {
        for (headers, syntax) in [
            ("", "1.2.840.10008.1.2.1"),
            ("Accept: */*\r\n", "1.2.840.10008.1.2.1"),
            (
                "Accept: multipart/related; type=\"application/dicom\"; transfer-syntax=*\r\n",
                "1.2.840.10008.1.2.4.202",
            ),
        ] {
            let answer = web.of_study(&path, headers);
            assert_eq!(answer.status, 200, "{}", answer.head);
            let parts = parts(&answer);
            assert_eq!(parts.len(), count);
            for (media, file) in &parts {
                assert_eq!(*media, format!("application/dicom; transfer-syntax={syntax}"));
                assert_eq!(file[128..132], *b"DICM");
            }
            let mut whole: Vec<&[u8]> = parts.iter().map(|(_, file)| file.as_slice()).collect();
            whole.sort_unstable();
            whole.dedup();
            assert_eq!(whole.len(), count, "each instance is there once");
        }
        let none = web.of_study(
            &path,
            "Accept: multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.3\r\n",
        );
        assert_eq!(none.status, 406);
        assert_eq!(web.of_study(&path, "Accept: text/html\r\n").status, 406);
    }
    assert_eq!(web.get("/studies/1.2.3", "").status, 404);
    assert_eq!(web.of_study("/series/1.2.3", "").status, 404);
    assert_eq!(web.of_study("?imageSetId=0123456789abcdef0123456789abcdef", "").status, 400);
}

/// `PS3.18` Table 8.4.2-1.
#[test]
fn each_part_names_the_url_of_what_is_in_it() {
    let web = Web::new();
    let series = &web.series()[0];
    let sops: Vec<String> = {
        let found = web.of_study(&format!("/series/{series}/instances"), "").json();
        found.as_array().unwrap().iter().map(|one| first(one, "00080018")).collect()
    };
    let instance = format!("/series/{series}/instances/{}", sops[0]);
    let single = "application/dicom";
    let multipart = |kind: &str| format!("multipart/related; type=\"{kind}\"");
    let (dicom, bytes) = (multipart(single), multipart("application/octet-stream"));
    for (path, accept, alone, ends) in [
        (String::new(), &dicom, single, vec![""; 6]),
        (format!("/series/{series}"), &dicom, single, vec![""; 3]),
        (instance.clone(), &dicom, single, vec![""]),
        (format!("{instance}/frames/1"), &bytes, "", vec!["/frames/1"]),
        (
            format!("{instance}/rendered?window=40,400,linear"),
            &multipart("image/png"),
            "image/png",
            vec!["/frames/1/rendered?window=40%2C400%2Clinear"],
        ),
    ] {
        let answer = web.of_study(&path, &format!("Accept: {accept}\r\n"));
        assert_eq!(answer.status, 200, "{path}");
        let parts = located(&answer);
        assert_eq!(parts.len(), ends.len(), "{path}");
        for ((media, location, content), end) in parts.into_iter().zip(ends) {
            assert!(location.ends_with(end), "{location}");
            let (host, resource) = location.split_once("/datastore/").unwrap();
            assert!(host.starts_with("http://"), "{location}");
            let accept = if alone.is_empty() { accept } else { alone };
            let accept = format!("Accept: {accept}\r\n");
            let found = web.served.answer(&format!("GET /datastore/{resource}"), &accept, b"");
            assert_eq!(found.status, 200, "{location}");
            let same = if alone.is_empty() { located(&found).remove(0).2 } else { found.body };
            assert!(same == content, "{media} of {location} is what the part has");
        }
    }
}

#[test]
fn the_metadata_of_a_study_are_those_of_its_series() {
    let web = Web::new();
    let of_study = web.of_study("/metadata", "Accept: application/dicom+json\r\n");
    assert_eq!(of_study.header("content-type"), Some("application/dicom+json"));
    let mut joined = Vec::new();
    for series in web.series() {
        let found = web.of_study(&format!("/series/{series}/metadata"), "").json();
        joined.extend(found.as_array().unwrap().clone());
    }
    assert_eq!(joined.len(), 6);
    assert_eq!(of_study.json(), json!(joined));
    assert_eq!(web.get("/studies/1.2.3/metadata", "").status, 404);
}

#[test]
fn an_answer_that_the_client_has_is_not_sent_again() {
    let web = Web::new();
    for path in ["/studies".to_owned(), format!("/studies/{}/metadata", web.study)] {
        let answer = web.get(&path, "");
        let tag = answer.header("etag").unwrap();
        let again = web.get(&path, &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((again.status, again.body.len()), (304, 0));
        let part = web.get(&path, "Range: bytes=1-10\r\n");
        assert_eq!((part.status, &part.body[..]), (206, &answer.body[1..11]));
    }
}

/// RFC 9110 §13.1.2, of pixels.
#[test]
fn pixels_that_the_client_has_are_not_sent_again() {
    let web = Web::new();
    let series = &web.series()[0];
    let found = web.of_study(&format!("/series/{series}/instances"), "").json();
    let sops: Vec<String> =
        found.as_array().unwrap().iter().map(|one| first(one, "00080018")).collect();
    let mut tags = Vec::new();
    for sop in &sops[..2] {
        let instance = format!("/series/{series}/instances/{sop}");
        let frame = "multipart/related; type=\"application/octet-stream\"; transfer-syntax";
        for (path, accept) in [
            (instance.clone(), "application/dicom; transfer-syntax=*".to_owned()),
            (instance.clone(), "application/dicom; transfer-syntax=1.2.840.10008.1.2.1".to_owned()),
            (instance.clone(), "multipart/related; type=\"application/dicom\"".to_owned()),
            (format!("{instance}/frames/1"), format!("{frame}=*")),
            (format!("{instance}/frames/1"), format!("{frame}=1.2.840.10008.1.2.1")),
        ] {
            let accept = format!("Accept: {accept}\r\n");
            let answer = web.of_study(&path, &accept);
            assert_eq!(answer.status, 200, "{path} {accept}");
            let tag = answer.header("etag").unwrap().to_owned();
            let known = format!("{accept}If-None-Match: \"other\", {tag}\r\n");
            let again = web.of_study(&path, &known);
            assert_eq!((again.status, again.body.len()), (304, 0), "{path} {accept}");
            assert_eq!(again.header("etag"), Some(&*tag));
            let other = web.of_study(&path, &format!("{accept}If-None-Match: \"other\"\r\n"));
            assert_eq!((other.status, other.body.len()), (200, answer.body.len()));
            tags.push(tag);
        }
    }
    let count = tags.len();
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), count, "each content and form has its own tag");
    let gone = format!("/series/{series}/instances/1.2.3");
    assert_eq!(web.of_study(&gone, "If-None-Match: *\r\n").status, 404);
}

/// As the microscopy viewer in OHIF 3.13 asks for tiles: what it decodes, and anything.
#[test]
fn frames_in_htj2k_are_not_sent_to_clients_that_list_other_syntaxes() {
    let web = Web::new();
    let series = &web.series()[0];
    let found = web.of_study(&format!("/series/{series}/instances"), "").json();
    let frame = format!("/series/{series}/instances/{}/frames/1", first(&found[0], "00080018"));
    let listed: String = [("jls", "80"), ("jls", "81"), ("jp2", "91"), ("jpx", "92")]
        .map(|(media, end)| {
            format!("multipart/related; type=\"image/{media}\"; transfer-syntax=1.2.840.10008.1.2.4.{end}, ")
        })
        .concat();
    let bytes = "multipart/related; type=\"application/octet-stream\"";
    let any = format!("{bytes}; transfer-syntax=*");
    let htj2k = "multipart/related; type=\"image/jphc\"; transfer-syntax=1.2.840.10008.1.2.4.201, ";
    for (accept, syntax) in [
        (any.clone(), "1.2.840.10008.1.2.4.202"),
        (format!("{listed}{any}"), "1.2.840.10008.1.2.1"),
        (format!("{listed}{htj2k}{any}"), "1.2.840.10008.1.2.4.202"),
        // What is listed with a lower weight is not preferred to any.
        (
            format!("{any}, {bytes}; transfer-syntax=1.2.840.10008.1.2.1; q=0.1"),
            "1.2.840.10008.1.2.4.202",
        ),
    ] {
        let answer = web.of_study(&frame, &format!("Accept: {accept}\r\n"));
        assert_eq!(answer.status, 200, "{accept}");
        let (media, content) = parts(&answer).remove(0);
        let wanted = format!("application/octet-stream; transfer-syntax={syntax}");
        assert_eq!(media, wanted, "{accept}");
        assert_eq!(content.len() == 32 * 32 * 2, syntax == "1.2.840.10008.1.2.1", "{accept}");
    }
    // A part says what it is: nothing is called JPEG that is not.
    let accept = |media: &str, syntax: &str| {
        format!("Accept: multipart/related; type=\"{media}\"; transfer-syntax={syntax}\r\n")
    };
    for (media, syntax) in [("image/jpeg", "*"), ("image/jphc", "1.2.840.10008.1.2.1")] {
        assert_eq!(web.of_study(&frame, &accept(media, syntax)).status, 406, "{media} {syntax}");
    }
    let right = web.of_study(&frame, &accept("image/jphc", "*"));
    assert_eq!(parts(&right)[0].0, "image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202");
}

/// Samples of 32 bits, as of a dose, are kept as one piece; the frames begin at bytes (`PS3.5 §8.1.1`).
#[test]
fn frames_of_32_bits_are_retrieved_one_by_one() {
    let rig = Rig::new();
    let pixels: Vec<u8> = (0..3_u8).flat_map(|frame| vec![frame; 4 * 4 * 4]).collect();
    let dose = Phantom::mr().study_uid("2.25.1").series_uid("2.25.2").sop_uid("2.25.3").size(4, 4);
    let dose = dose.bits(32, 32).pixels(pixels).with(tags::NUMBER_OF_FRAMES, VR::IS, "3");
    std::fs::write(rig.path("dose.dcm"), dose.build()).unwrap();
    let imported = rig.run(&["import", text(&rig.path("dose.dcm"))]);
    assert_eq!(imported.status.code(), Some(0), "{imported:?}");
    let stores = rig.call("list_datastores", &json!({}));
    let store = stores["datastore_summaries"][0]["datastore_id"].as_str().unwrap();
    let served = Served::start(&rig, &[]);
    let instance = format!("/datastore/{store}/studies/2.25.1/series/2.25.2/instances/2.25.3");
    let accept =
        "Accept: multipart/related; type=\"application/octet-stream\"; transfer-syntax=*\r\n";
    let frames = |list: &str| served.answer(&format!("GET {instance}/frames/{list}"), accept, b"");
    for (list, levels) in [("1", &[0][..]), ("2", &[1]), ("3,1", &[2, 0])] {
        let found = parts(&frames(list));
        let expected: Vec<Vec<u8>> = levels.iter().map(|level| vec![*level; 64]).collect();
        assert_eq!(
            found.into_iter().map(|(_, frame)| frame).collect::<Vec<_>>(),
            expected,
            "{list}"
        );
    }
    assert_eq!(frames("4").status, 404);
    // A picture is made from all of it.
    let picture =
        served.answer(&format!("GET {instance}/frames/3/rendered"), "Accept: image/png\r\n", b"");
    assert_eq!(picture.status, 200);
}

#[test]
fn requests_are_read_as_viewers_write_them() {
    let web = Web::new();
    let json = "application/dicom+json";
    for path in [
        "/studies/",
        "/studies?_=1700000000",
        "/studies?accept=application/dicom%2Bjson",
        "/studies?accept=application/dicom+json&charset=utf-8",
        "/studies?ModalitiesInStudy=CT%5CMR&ModalitiesInStudy=CT,PT",
        "/studies?limit=5000",
    ] {
        let answer = web.get(path, "Accept: application/dicom+json, application/json;q=0.5\r\n");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(json)), "{path}");
        assert_eq!(answer.json().as_array().unwrap().len(), 1, "{path}");
        let is_reduced = answer.header("warning").is_some_and(|text| text.starts_with("299 "));
        assert_eq!(is_reduced, path.contains("limit"), "{path}");
    }
    assert_eq!(web.get("/studies?accept=text/html", "Accept: */*\r\n").status, 406);
    assert_eq!(
        web.get("/studies?PatientId=1", "").status,
        400,
        "a misspelt key is no search for all"
    );
    let forwarded = "X-Forwarded-Host: pacs.example.org\r\nX-Forwarded-Proto: https\r\n";
    let url = first(&web.get("/studies", forwarded).json()[0], "00081190");
    assert!(url.starts_with("https://pacs.example.org/datastore/"), "{url}");
}

#[test]
fn parameters_are_given_once_and_are_text() {
    let web = Web::new();
    for query in [
        "limit=1&limit=2",
        "offset=1&offset=1",
        "PatientName=%00",
        "fuzzymatching=true&fuzzymatching=true",
    ] {
        let refused = web.get(&format!("/studies?{query}"), "");
        assert_eq!(refused.status, 400, "{query}");
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("parameter") || message.contains("more than once"), "{message}");
    }
    let fields = web.get("/studies?includefield=00100010&includefield=00100020", "");
    assert_eq!(fields.status, 200);
    assert!(fields.head.to_lowercase().contains("vary: accept\r\n"), "{}", fields.head);
}

#[test]
fn methods_and_encodings_that_are_not_supported_are_named() {
    let web = Web::new();
    let deleted = web.served.answer(&format!("DELETE {}/studies", web.base), "", b"");
    assert_eq!(deleted.status, 405);
    let mut allowed: Vec<&str> = deleted.header("allow").unwrap().split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    let zipped = "Content-Type: application/dicom\r\nContent-Encoding: gzip\r\n";
    for headers in [zipped, "", "Content-Type: application/octet-stream\r\n"] {
        let answer = web.post("/studies", headers, b"\x1f\x8b");
        assert_eq!(answer.status, 415, "{headers}");
        assert!(answer.json()["message"].as_str().unwrap().contains("Content-"), "{headers}");
    }
}

/// Orthanc's boundaries have 73 characters, one of its requests asks for XML.
#[test]
fn instances_are_stored_as_other_programs_send_them() {
    let web = Web::new();
    let series = web.series();
    let file = parts(&web.of_study(&format!("/series/{}", series[0]), "")).swap_remove(0).1;
    let boundary = "b".repeat(73);
    let mut body = format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n").into_bytes();
    body.extend([&file[..], format!("\r\n--{boundary}--\r\n").as_bytes()].concat());
    let headers = format!(
        "Accept: application/dicom+xml\r\n\
         Content-Type: multipart/related; type=\"application/dicom\"; boundary={boundary}\r\n"
    );
    let answer = web.post("/studies/", &headers, &body);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("content-type"), Some("application/dicom+xml"));
    let xml = String::from_utf8(answer.body).unwrap();
    assert!(xml.contains("keyword=\"ReferencedSOPSequence\"><Item number=\"1\">"), "{xml}");
    let refused = web.post("/studies", "Accept: text/html\r\n", &file);
    assert_eq!(refused.status, 406);
}

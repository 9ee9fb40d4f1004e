//! `OpenJPEG` streams over memory.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;

use openjpeg_sys as opj;

use crate::error::CodecError;

/// Value of `OpenJPEG` for the end of the stream, and for a failure to skip.
const END: usize = usize::MAX;
const FAILED: i64 = -1;
/// Size of the buffer between the library and the callbacks.
const BUFFER: usize = 64 * 1024;

/// Bytes to decode, and how far they were read.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    fn move_to(&mut self, position: Option<usize>) -> bool {
        match position.filter(|position| *position <= self.bytes.len()) {
            Some(position) => {
                self.position = position;
                true
            }
            None => false,
        }
    }
}

/// Encoded bytes, and where the next ones go.
pub(crate) struct Writer {
    bytes: Vec<u8>,
    position: usize,
}

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), position: 0 }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn write(&mut self, bytes: &[u8]) {
        let end = self.position + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(to) = self.bytes.get_mut(self.position..end) {
            to.copy_from_slice(bytes);
        }
        self.position = end;
    }
}

/// A stream that lives no longer than the reader or writer behind it.
pub(crate) struct Stream<'a> {
    pointer: ptr::NonNull<opj::opj_stream_t>,
    behind: PhantomData<&'a mut ()>,
}

#[expect(unsafe_code, reason = "OpenJPEG is C")]
impl<'a> Stream<'a> {
    pub(crate) fn reading(reader: &'a mut Reader<'_>) -> Result<Self, CodecError> {
        let length = reader.bytes.len() as u64;
        // SAFETY: `reader` is borrowed for as long as the stream lives, and the callbacks take
        // it for what it is.
        unsafe {
            let stream = Self::create(1)?;
            let pointer = stream.as_ptr();
            opj::opj_stream_set_user_data(pointer, ptr::from_mut(reader).cast(), None);
            opj::opj_stream_set_user_data_length(pointer, length);
            opj::opj_stream_set_read_function(pointer, Some(read));
            opj::opj_stream_set_skip_function(pointer, Some(skip_reading));
            opj::opj_stream_set_seek_function(pointer, Some(seek_reading));
            Ok(stream)
        }
    }

    pub(crate) fn writing(writer: &'a mut Writer) -> Result<Self, CodecError> {
        // SAFETY: as in `reading`.
        unsafe {
            let stream = Self::create(0)?;
            let pointer = stream.as_ptr();
            opj::opj_stream_set_user_data(pointer, ptr::from_mut(writer).cast(), None);
            opj::opj_stream_set_write_function(pointer, Some(write));
            opj::opj_stream_set_skip_function(pointer, Some(skip_writing));
            opj::opj_stream_set_seek_function(pointer, Some(seek_writing));
            Ok(stream)
        }
    }

    pub(crate) fn as_ptr(&self) -> *mut opj::opj_stream_t {
        self.pointer.as_ptr()
    }

    unsafe fn create(is_input: i32) -> Result<Self, CodecError> {
        // SAFETY: creating a stream has no precondition.
        let pointer = unsafe { opj::opj_stream_create(BUFFER, is_input) };
        ptr::NonNull::new(pointer)
            .map(|pointer| Self { pointer, behind: PhantomData })
            .ok_or(CodecError::OutOfMemory(BUFFER as u64))
    }
}

impl Drop for Stream<'_> {
    #[expect(unsafe_code, reason = "OpenJPEG is C")]
    fn drop(&mut self) {
        // SAFETY: the pointer came from opj_stream_create and is destroyed here only.
        unsafe { opj::opj_stream_destroy(self.pointer.as_ptr()) }
    }
}

#[expect(unsafe_code, reason = "called from C")]
unsafe extern "C" fn read(to: *mut c_void, length: usize, reader: *mut c_void) -> usize {
    // SAFETY: the stream was made with a Reader, and `to` has room for `length` bytes.
    let (reader, to) = unsafe {
        (&mut *reader.cast::<Reader<'_>>(), std::slice::from_raw_parts_mut(to.cast::<u8>(), length))
    };
    let from = reader.rest();
    if from.is_empty() {
        return END;
    }
    let count = from.len().min(length);
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    reader.position += count;
    count
}

#[expect(unsafe_code, reason = "called from C")]
unsafe extern "C" fn skip_reading(count: i64, reader: *mut c_void) -> i64 {
    // SAFETY: the stream was made with a Reader.
    let reader = unsafe { &mut *reader.cast::<Reader<'_>>() };
    let target = isize::try_from(count).ok().and_then(|c| reader.position.checked_add_signed(c));
    if reader.move_to(target) { count } else { FAILED }
}

#[expect(unsafe_code, reason = "called from C")]
unsafe extern "C" fn seek_reading(position: i64, reader: *mut c_void) -> i32 {
    // SAFETY: the stream was made with a Reader.
    let reader = unsafe { &mut *reader.cast::<Reader<'_>>() };
    reader.move_to(usize::try_from(position).ok()).into()
}

#[expect(unsafe_code, reason = "called from C")]
unsafe extern "C" fn write(from: *mut c_void, length: usize, writer: *mut c_void) -> usize {
    // SAFETY: the stream was made with a Writer, and `from` holds `length` bytes.
    let (writer, from) = unsafe {
        (&mut *writer.cast::<Writer>(), std::slice::from_raw_parts(from.cast::<u8>(), length))
    };
    writer.write(from);
    length
}

#[expect(unsafe_code, reason = "called from C")]
unsafe extern "C" fn skip_writing(count: i64, writer: *mut c_void) -> i64 {
    // SAFETY: the stream was made with a Writer.
    let writer = unsafe { &mut *writer.cast::<Writer>() };
    let target = isize::try_from(count).ok().and_then(|c| writer.position.checked_add_signed(c));
    match target {
        Some(target) => {
            writer.position = target;
            count
        }
        None => FAILED,
    }
}

#[expect(unsafe_code, reason = "called from C")]
unsafe extern "C" fn seek_writing(position: i64, writer: *mut c_void) -> i32 {
    // SAFETY: the stream was made with a Writer.
    let writer = unsafe { &mut *writer.cast::<Writer>() };
    match usize::try_from(position) {
        Ok(position) => {
            writer.position = position;
            1
        }
        Err(_) => 0,
    }
}

//! Structs of a C program: memory of exactly the size that they say they have,
//! so that whatever is read or written beyond it is found.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr;

use super::line::Line;

/// A library looks no further into a struct that says it is longer.
const SIZE_MAX: u64 = 64 * 1024;

/// Where every struct has its size.
const HEAD: usize = size_of::<u32>();

/// A struct in memory of its own.
pub struct Place {
    start: *mut u8,
    layout: Layout,
    is_null: bool,
}

impl Place {
    /// A struct that a call reads: as `size=` says, or as long as it is. What a
    /// longer one has beyond is zero but for its last byte, `tail=`.
    pub fn request<T>(line: &Line<'_>, value: T) -> Self {
        let place = Self::sized::<T>(line.given("size"), line.is_null("request"));
        let known = place.layout.size().min(size_of::<T>());
        // SAFETY: both have so many bytes, and `value` has no padding.
        unsafe {
            let from = ptr::from_ref(&value).cast::<u8>();
            ptr::copy_nonoverlapping(from.add(HEAD), place.start.add(HEAD), known - HEAD);
        }
        if let Some(tail) = line.given("tail").filter(|_| place.layout.size() > size_of::<T>()) {
            // SAFETY: it is its last byte.
            unsafe { place.start.add(place.layout.size() - 1).write(tail as u8) };
        }
        place
    }

    /// A struct that a call writes: as `room=` says, or as long as it is.
    pub fn answer<T>(line: &Line<'_>) -> Self {
        Self::sized::<T>(line.given("room"), line.is_null("answer"))
    }

    /// What a program gives that has read the header.
    pub fn right<T>() -> Self {
        Self::sized::<T>(None, false)
    }

    fn sized<T>(size: Option<u64>, is_null: bool) -> Self {
        let size = size.unwrap_or(size_of::<T>() as u64);
        let bytes = if size > SIZE_MAX { HEAD } else { (size as usize).max(HEAD) };
        let layout = Layout::from_size_align(bytes, align_of::<u64>()).expect("a layout");
        // SAFETY: its size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: it has at least so many bytes, and is aligned for more.
        unsafe { start.cast::<u32>().write(size as u32) };
        Self { start, layout, is_null }
    }

    /// What the call is given.
    pub fn pointer<T>(&self) -> *mut T {
        if self.is_null { ptr::null_mut() } else { self.start.cast() }
    }

    /// The bytes from here on, as many as there are of these.
    pub fn bytes(&self, from: usize, count: usize) -> &[u8] {
        let size = self.layout.size();
        let from = from.min(size);
        // SAFETY: they are within the memory, which was set when it was had.
        unsafe { std::slice::from_raw_parts(self.start.add(from), count.min(size - from)) }
    }

    /// A text inside the struct, which must be one, with a NUL, if there was
    /// room for the whole of it.
    pub fn text(&self, from: usize, count: usize) -> &[u8] {
        let field = self.bytes(from, count);
        if field.len() < count {
            return b"";
        }
        let end = field.iter().position(|byte| *byte == 0).expect("a text that ends");
        str::from_utf8(&field[..end]).expect("a text in UTF-8");
        &field[..end]
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // SAFETY: it was had with this layout.
        unsafe { dealloc(self.start, self.layout) };
    }
}

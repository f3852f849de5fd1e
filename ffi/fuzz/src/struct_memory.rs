//! Structs of a C program, allocated with exactly their declared size, so that
//! the sanitizer detects any access beyond it.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr;

use super::line::Line;

/// The library rejects greater sizes without reading further.
const SIZE_MAX: u64 = 64 * 1024;

/// The size of the leading size field.
const HEAD: usize = size_of::<u32>();

/// A struct in its own allocation.
pub struct StructMemory {
    start: *mut u8,
    layout: Layout,
    is_null: bool,
}

impl StructMemory {
    /// A request struct of the size in `size=`, or its real one. A larger one
    /// is zero-padded except for its last byte, `tail=`.
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

    /// An array of requests of the size in `size=`, or their real one; the last
    /// one declares `last=` or the same. All are zero-padded, except for the
    /// last byte, `tail=`.
    pub fn requests<T>(line: &Line<'_>, values: Vec<T>) -> Self {
        let size = line.given("size").unwrap_or(size_of::<T>() as u64);
        let stride = if size > SIZE_MAX { HEAD } else { (size as usize).max(HEAD) };
        let place = Self::zeroed(stride * values.len().max(1), line.is_null("request"));
        let last = values.len().saturating_sub(1);
        for (index, value) in values.iter().enumerate() {
            let known = stride.min(size_of::<T>());
            let declared = line.given("last").filter(|_| index == last && index > 0);
            let declared = declared.unwrap_or(size) as u32;
            // SAFETY: the array has `stride` bytes for each value, which is
            // at least the head, and `value` has no padding.
            unsafe {
                let element = place.start.add(index * stride);
                let from = ptr::from_ref(value).cast::<u8>();
                ptr::copy_nonoverlapping(from.add(HEAD), element.add(HEAD), known - HEAD);
                element.cast::<u32>().write_unaligned(declared);
            }
        }
        if let Some(tail) = line.given("tail").filter(|_| stride > size_of::<T>()) {
            // SAFETY: it is the last byte.
            unsafe { place.start.add(place.layout.size() - 1).write(tail as u8) };
        }
        place
    }

    /// A response struct of the size in `room=`, or its real one.
    pub fn answer<T>(line: &Line<'_>) -> Self {
        Self::sized::<T>(line.given("room"), line.is_null("answer"))
    }

    /// A struct of the correct size.
    pub fn right<T>() -> Self {
        Self::sized::<T>(None, false)
    }

    fn sized<T>(size: Option<u64>, is_null: bool) -> Self {
        let size = size.unwrap_or(size_of::<T>() as u64);
        let bytes = if size > SIZE_MAX { HEAD } else { (size as usize).max(HEAD) };
        let place = Self::zeroed(bytes, is_null);
        // SAFETY: it is large enough and sufficiently aligned.
        unsafe { place.start.cast::<u32>().write(size as u32) };
        place
    }

    /// Zeroed memory, which is not empty.
    fn zeroed(bytes: usize, is_null: bool) -> Self {
        let layout = Layout::from_size_align(bytes, align_of::<u64>()).expect("a layout");
        // SAFETY: its size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        Self { start, layout, is_null }
    }

    /// Returns the pointer for the call.
    pub fn pointer<T>(&self) -> *mut T {
        if self.is_null { ptr::null_mut() } else { self.start.cast() }
    }

    /// Returns the bytes from this offset, as far as they exist.
    pub fn bytes(&self, from: usize, count: usize) -> &[u8] {
        let size = self.layout.size();
        let from = from.min(size);
        // SAFETY: within the allocation, which was zeroed.
        unsafe { std::slice::from_raw_parts(self.start.add(from), count.min(size - from)) }
    }

    /// Returns a text inside the struct, which must be NUL-terminated if the
    /// struct had room for all of it.
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

impl Drop for StructMemory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start, self.layout) };
    }
}

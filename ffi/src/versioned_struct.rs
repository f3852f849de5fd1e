//! Versioned structs that the caller owns. Each begins with its size as the
//! caller was compiled, so that libraries and programs of different versions
//! interoperate.

use std::mem::{MaybeUninit, size_of};
use std::ptr;

use crate::ffi_error::{FfiError, null};

/// No struct is that large; a greater size was never initialized.
const SIZE_MAX: usize = 64 * 1024;

/// A struct that crosses the C ABI.
///
/// # Safety
/// It is `repr(C)`, begins with its size as a `u32`, and has no padding.
pub(crate) unsafe trait VersionedStruct: Sized {
    /// Its name in C.
    const NAME: &'static str;
    /// Its size in the first version: the least that a program may declare.
    const FIRST_SIZE: usize;
}

/// A struct that callers pass in, for which every bit pattern is valid.
///
/// # Safety
/// It has only integers and pointers.
pub(crate) unsafe trait RequestStruct: VersionedStruct {
    /// Returns the reserved field, which must be 0; 0 if the struct has none.
    fn reserved(&self) -> u32;
}

/// Implements [`RequestStruct`], with the struct's reserved field if it has
/// one.
macro_rules! request_struct {
    ($name:ident $(, $reserved:ident)?) => {
        // SAFETY: it has only integers and pointers.
        unsafe impl $crate::versioned_struct::RequestStruct for $name {
            fn reserved(&self) -> u32 {
                0 $(| self.$reserved)?
            }
        }
    };
}
pub(crate) use request_struct;

/// Rejects a reserved field that is set: a later version gives it a meaning,
/// which would break programs that pass garbage in it.
pub(crate) fn check_reserved(name: &str, reserved: u32) -> Result<(), FfiError> {
    if reserved == 0 {
        return Ok(());
    }
    Err(FfiError::invalid_argument(format!("{name}.reserved must be 0, got {reserved}")))
}

/// Implements [`VersionedStruct`] and checks at compile time that there is no
/// padding.
macro_rules! versioned_struct {
    ($name:ident, first $first:literal, now $now:literal) => {
        // SAFETY: see the struct; the assertion checks that its size is the sum
        // of its fields.
        unsafe impl $crate::versioned_struct::VersionedStruct for $name {
            const NAME: &'static str = stringify!($name);
            const FIRST_SIZE: usize = $first;
        }
        const _: () = assert!(std::mem::size_of::<$name>() == $now);
        const _: () = assert!(std::mem::offset_of!($name, struct_size) == 0);
    };
}
pub(crate) use versioned_struct;

/// Reads and validates the declared size of the caller's struct.
///
/// # Safety
/// `out` is null or points to a struct that begins with its size.
unsafe fn size<T: VersionedStruct>(out: *const T) -> Result<usize, FfiError> {
    let name = T::NAME;
    if out.is_null() {
        return Err(null(name));
    }
    // SAFETY: not null and begins with a `u32`, as the caller guaranteed.
    let size = unsafe { out.cast::<u32>().read_unaligned() };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size < T::FIRST_SIZE || size > SIZE_MAX {
        return Err(FfiError::invalid_argument(format!(
            "{name}.struct_size must be set to sizeof({name}), got {size}"
        )));
    }
    Ok(size)
}

/// Reads a struct. Fields that an older program lacks become zero; fields that
/// this library does not know must be zero.
///
/// # Safety
/// `out` is null or points to as many readable bytes as it declares.
pub(crate) unsafe fn read<T: RequestStruct>(out: *const T) -> Result<T, FfiError> {
    // SAFETY: guaranteed by the caller.
    let given = unsafe { size(out) }?;
    let known = given.min(size_of::<T>());
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `known` bytes are readable, and `value` has at least as many.
    unsafe { ptr::copy_nonoverlapping(out.cast::<u8>(), value.as_mut_ptr().cast(), known) };
    for beyond in known..given {
        // SAFETY: the caller's struct has `given` bytes.
        if unsafe { out.cast::<u8>().add(beyond).read() } != 0 {
            return Err(FfiError::invalid_argument(format!(
                "{} sets a field that this version of Stockade does not know",
                T::NAME
            )));
        }
    }
    // SAFETY: every byte is initialized, and every bit pattern is valid.
    let value = unsafe { value.assume_init() };
    check_reserved(T::NAME, value.reserved())?;
    Ok(value)
}

/// Returns pointers to the elements of an array. Their stride is the size that
/// the first one declares: an array of a program is one of the structs that it
/// was compiled with. All sizes are checked first, because the place of every
/// element follows from them.
///
/// # Safety
/// `array` is null or points to `count` elements of as many readable bytes as
/// the first one declares; each begins with its size.
pub(crate) unsafe fn elements<T: RequestStruct>(
    array: *const T,
    count: usize,
) -> Result<impl Iterator<Item = *const T>, FfiError> {
    let mut stride = 0;
    if count > 0 {
        if !array.is_null() && !array.is_aligned() {
            return Err(FfiError::invalid_argument(format!("{} must be aligned", T::NAME)));
        }
        // SAFETY: guaranteed by the caller.
        stride = unsafe { size(array) }?;
        if !stride.is_multiple_of(align_of::<T>()) {
            let name = T::NAME;
            let why = format!("{name}.struct_size must be set to sizeof({name}), got {stride}");
            return Err(FfiError::invalid_argument(why));
        }
    }
    let element = move |index| array.wrapping_byte_add(index * stride);
    for index in 1..count {
        // SAFETY: within the array, as the caller guaranteed.
        let declared = unsafe { element(index).cast::<u32>().read() };
        if usize::try_from(declared) != Ok(stride) {
            return Err(FfiError::invalid_argument(format!(
                "element {index} has {}.struct_size {declared}, the first has {stride}: every \
                 element must have the same",
                T::NAME
            )));
        }
    }
    Ok((0..count).map(element))
}

/// Validates an out-pointer before the call has any effect.
///
/// # Safety
/// `out` is null or points to a struct that begins with its size.
pub(crate) unsafe fn check<T: VersionedStruct>(out: *const T) -> Result<(), FfiError> {
    // SAFETY: guaranteed by the caller.
    unsafe { size(out) }.map(drop)
}

/// Writes the fields that the caller knows; zeroes those that this library does
/// not know. The size stays as the caller set it.
///
/// # Safety
/// `out` is null or points to as many writable bytes as it declares.
pub(crate) unsafe fn write<T: VersionedStruct>(out: *mut T, value: T) -> Result<(), FfiError> {
    const HEAD: usize = size_of::<u32>();
    // SAFETY: guaranteed by the caller.
    let given = unsafe { size(out) }?;
    let known = given.min(size_of::<T>());
    let (from, to) = (ptr::from_ref(&value).cast::<u8>(), out.cast::<u8>());
    // SAFETY: `known` is at most the size of both, and both begin with a `u32`.
    unsafe { ptr::copy_nonoverlapping(from.add(HEAD), to.add(HEAD), known - HEAD) };
    // SAFETY: the caller's struct has `given` bytes.
    unsafe { ptr::write_bytes(to.add(known), 0, given - known) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    struct Grown {
        struct_size: u32,
        first: u32,
        second: u64,
    }
    versioned_struct!(Grown, first 8, now 16);
    request_struct!(Grown);

    fn sized(struct_size: u32) -> Grown {
        Grown { struct_size, first: 7, second: 9 }
    }

    #[test]
    fn older_structs_are_read_and_written_partially() {
        let mut older = sized(8);
        // SAFETY: it has at least 8 bytes.
        let read = unsafe { read(&older) }.ok().map(|read| (read.first, read.second));
        assert_eq!(read, Some((7, 0)));
        let value = Grown { struct_size: 0, first: 1, second: 2 };
        // SAFETY: as above.
        assert!(unsafe { write(&mut older, value) }.is_ok());
        assert_eq!((older.struct_size, older.first, older.second), (8, 1, 9));
    }

    #[test]
    fn unknown_fields_of_newer_structs_must_be_zero() {
        #[repr(C)]
        struct Newer(Grown, u64);
        let mut newer = Newer(sized(24), 0);
        let out = ptr::from_mut(&mut newer).cast::<Grown>();
        // SAFETY: it has 24 bytes.
        unsafe {
            assert!(read(out).is_ok());
            newer.1 = 5;
            assert!(read(out).is_err());
            assert!(write(out, sized(0)).is_ok());
        }
        assert_eq!(newer.1, 0);
    }

    #[test]
    fn elements_lie_as_far_apart_as_the_first_declares() {
        fn firsts<T: RequestStruct>(
            array: *const T,
            count: usize,
            first: fn(T) -> u32,
        ) -> Result<Vec<u32>, String> {
            // SAFETY: the tests pass arrays of that many elements, or wrong
            // ones that are rejected by their first bytes.
            let pointers = unsafe { elements(array, count) };
            let pointers = pointers.map_err(|why| why.message().to_owned())?;
            // SAFETY: as above.
            let read = pointers.map(|pointer| unsafe { read(pointer) }.ok().map_or(0, first));
            Ok(read.collect())
        }
        let first = |grown: Grown| grown.first;
        let mut array = [sized(16), sized(16), sized(16)];
        (array[1].first, array[2].first) = (8, 9);
        assert_eq!(firsts(array.as_ptr(), 3, first), Ok(vec![7, 8, 9]));
        // A program of the first version, whose structs are smaller.
        #[repr(C, align(8))]
        struct Older([u32; 4]);
        let older = Older([8, 1, 8, 2]);
        assert_eq!(firsts(ptr::from_ref(&older).cast::<Grown>(), 2, first), Ok(vec![1, 2]));
        assert_eq!(firsts(ptr::null::<Grown>(), 0, first), Ok(vec![]));

        array[2].struct_size = 8;
        let why = firsts(array.as_ptr(), 3, first).expect_err("sizes differ");
        assert!(why.contains("element 2") && why.contains("size 8,"), "{why}");
        for size in [0, 7, 12, 70_000] {
            array[0].struct_size = size;
            let why = firsts(array.as_ptr(), 1, first).expect_err("no size of a struct");
            assert!(why.contains("sizeof(Grown)"), "{why}");
        }
        let shifted = array.as_ptr().wrapping_byte_add(4);
        assert!(firsts(shifted, 1, first).expect_err("shifted").contains("aligned"));
        assert!(firsts(ptr::null::<Grown>(), 1, first).expect_err("null").contains("NULL"));
    }

    #[test]
    fn unset_sizes_are_rejected() {
        for size in [0, 4, 7, 70_000, u32::MAX] {
            // SAFETY: only the size of such a struct is read.
            assert!(unsafe { read(&sized(size)) }.is_err(), "{size}");
        }
        // SAFETY: null is rejected.
        assert!(unsafe { read::<Grown>(ptr::null()) }.is_err());
    }
}

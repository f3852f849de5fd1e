//! Structs that the caller owns. Each begins with its size as the caller knows
//! it, so that a library with longer structs and a program with shorter ones,
//! or the other way round, understand each other.

use std::mem::{MaybeUninit, size_of};
use std::ptr;

use crate::failure::{Failure, null};

/// No struct gets so long; a size beyond it was never set.
const SIZE_MAX: usize = 64 * 1024;

/// A struct that may cross the border.
///
/// # Safety
/// It is `repr(C)`, begins with its size as a `u32`, and has no padding.
pub(crate) unsafe trait Plain: Sized {
    /// Its name in C.
    const NAME: &'static str;
    /// Its size when it first appeared: no program can know less of it.
    const FIRST_SIZE: usize;
}

/// A struct of which every pattern of bits is a value.
///
/// # Safety
/// It has only integers and pointers.
pub(crate) unsafe trait Incoming: Plain {
    /// The field that is kept for a later version and must be 0; 0 where the
    /// struct has none.
    fn reserved(&self) -> u32;
}

/// Implements [`Incoming`], with the struct's reserved field if it has one.
macro_rules! incoming {
    ($name:ident $(, $reserved:ident)?) => {
        // SAFETY: it has only integers and pointers.
        unsafe impl $crate::plain::Incoming for $name {
            fn reserved(&self) -> u32 {
                0 $(| self.$reserved)?
            }
        }
    };
}
pub(crate) use incoming;

/// Refuses a reserved field that is set: a later version will give it a meaning,
/// and programs that leave stray bytes in it would break then.
pub(crate) fn check_reserved(name: &str, reserved: u32) -> Result<(), Failure> {
    if reserved == 0 {
        return Ok(());
    }
    Err(Failure::invalid_argument(format!("{name}.reserved must be 0, got {reserved}")))
}

/// Implements [`Plain`] and checks at compile time that there is no padding.
macro_rules! plain {
    ($name:ident, first $first:literal, now $now:literal) => {
        // SAFETY: see the struct; its size is checked to be the sum of its fields.
        unsafe impl $crate::plain::Plain for $name {
            const NAME: &'static str = stringify!($name);
            const FIRST_SIZE: usize = $first;
        }
        const _: () = assert!(std::mem::size_of::<$name>() == $now);
        const _: () = assert!(std::mem::offset_of!($name, struct_size) == 0);
    };
}
pub(crate) use plain;

/// Reads the size that the caller's struct says it has.
///
/// # Safety
/// `place` is null or points to a struct that begins with its size.
unsafe fn size<T: Plain>(place: *const T) -> Result<usize, Failure> {
    let name = T::NAME;
    if place.is_null() {
        return Err(null(name));
    }
    // SAFETY: it is not null and begins with a `u32`, as the caller promised.
    let size = unsafe { place.cast::<u32>().read_unaligned() };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size < T::FIRST_SIZE || size > SIZE_MAX {
        return Err(Failure::invalid_argument(format!(
            "{name}.struct_size must be set to sizeof({name}), got {size}"
        )));
    }
    Ok(size)
}

/// Reads a struct. What an older program does not know is zero; what a newer
/// one knows and this library does not must be zero.
///
/// # Safety
/// `place` is null or points to as many readable bytes as it says.
pub(crate) unsafe fn read<T: Incoming>(place: *const T) -> Result<T, Failure> {
    // SAFETY: as the caller promised.
    let given = unsafe { size(place) }?;
    let known = given.min(size_of::<T>());
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `known` bytes can be read, and `value` has at least as many.
    unsafe { ptr::copy_nonoverlapping(place.cast::<u8>(), value.as_mut_ptr().cast(), known) };
    for beyond in known..given {
        // SAFETY: the caller's struct has `given` bytes.
        if unsafe { place.cast::<u8>().add(beyond).read() } != 0 {
            return Err(Failure::invalid_argument(format!(
                "{} has a field set that this version of Stockade does not know",
                T::NAME
            )));
        }
    }
    // SAFETY: every byte is set, and every pattern of bits is a value.
    let value = unsafe { value.assume_init() };
    check_reserved(T::NAME, value.reserved())?;
    Ok(value)
}

/// Refuses a place that cannot be written to, before anything is done.
///
/// # Safety
/// `place` is null or points to a struct that begins with its size.
pub(crate) unsafe fn check<T: Plain>(place: *const T) -> Result<(), Failure> {
    // SAFETY: as the caller promised.
    unsafe { size(place) }.map(drop)
}

/// Writes as much of a struct as the caller knows of; what this library does
/// not know becomes zero. The size stays as the caller set it.
///
/// # Safety
/// `place` is null or points to as many writable bytes as it says.
pub(crate) unsafe fn write<T: Plain>(place: *mut T, value: T) -> Result<(), Failure> {
    const HEAD: usize = size_of::<u32>();
    // SAFETY: as the caller promised.
    let given = unsafe { size(place) }?;
    let known = given.min(size_of::<T>());
    let (from, to) = (ptr::from_ref(&value).cast::<u8>(), place.cast::<u8>());
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
    plain!(Grown, first 8, now 16);
    incoming!(Grown);

    fn sized(struct_size: u32) -> Grown {
        Grown { struct_size, first: 7, second: 9 }
    }

    #[test]
    fn an_older_program_is_read_and_written_as_far_as_it_knows() {
        let mut older = sized(8);
        // SAFETY: it has 8 bytes and more.
        let read = unsafe { read(&older) }.ok().map(|read| (read.first, read.second));
        assert_eq!(read, Some((7, 0)));
        let value = Grown { struct_size: 0, first: 1, second: 2 };
        // SAFETY: as above.
        assert!(unsafe { write(&mut older, value) }.is_ok());
        assert_eq!((older.struct_size, older.first, older.second), (8, 1, 9));
    }

    #[test]
    fn a_newer_program_may_not_set_what_is_not_known() {
        #[repr(C)]
        struct Newer(Grown, u64);
        let mut newer = Newer(sized(24), 0);
        let place = ptr::from_mut(&mut newer).cast::<Grown>();
        // SAFETY: it has 24 bytes.
        unsafe {
            assert!(read(place).is_ok());
            newer.1 = 5;
            assert!(read(place).is_err());
            assert!(write(place, sized(0)).is_ok());
        }
        assert_eq!(newer.1, 0);
    }

    #[test]
    fn a_size_that_was_never_set_is_refused() {
        for size in [0, 4, 7, 70_000, u32::MAX] {
            // SAFETY: a struct so small or so large is not looked into.
            assert!(unsafe { read(&sized(size)) }.is_err(), "{size}");
        }
        // SAFETY: null is looked for.
        assert!(unsafe { read::<Grown>(ptr::null()) }.is_err());
    }
}

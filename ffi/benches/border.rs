//! What crossing the border costs: the same calls in Rust and through the C
//! functions, on a store in memory. The no-op is the closing of a shared engine,
//! which does nothing. Expected: it costs the checks of every call (NULL, the
//! process) and a landing pad; a hold costs the same both ways, next to the
//! transaction.
//!
//! `ffi/benches/run` also times them from C and PHP, through the shared library.
#![expect(clippy::expect_used, reason = "a bench ends at the first surprise")]

use std::hint::black_box;
use std::ptr;

use criterion::{Criterion, criterion_group, criterion_main};
use stockade::{Engine, HoldRequest, NewProduct};
use stockade_ffi::code::stockade_code;
use stockade_ffi::engine::{
    stockade_engine, stockade_engine_close, stockade_engine_free, stockade_engine_open_shared,
};
use stockade_ffi::holds::{stockade_engine_create_hold, stockade_hold, stockade_hold_request};
use stockade_ffi::options::{stockade_options_free, stockade_options_new, stockade_options_set};
use stockade_ffi::product_requests::{stockade_engine_create_product, stockade_new_product};
use stockade_ffi::products::stockade_product;

const PLENTY: u64 = 1 << 40;

/// A shared engine of the C ABI with one product.
fn opened() -> (*mut stockade_engine, u64) {
    let mut engine = ptr::null_mut();
    // SAFETY: all pointers are of live variables, and the sizes are set.
    unsafe {
        let none = ptr::null_mut();
        let mut options = ptr::null_mut();
        assert_eq!(stockade_options_new(&mut options, none), stockade_code::Ok);
        let (name, value) = (c"store".as_ptr(), c"sqlite::memory:".as_ptr());
        let code = stockade_options_set(options, name, value, none);
        assert_eq!(code, stockade_code::Ok);
        let code = stockade_engine_open_shared(options, &mut engine, none);
        assert_eq!(code, stockade_code::Ok);
        stockade_options_free(options);
        let mut request: stockade_new_product = std::mem::zeroed();
        request.struct_size = size_of::<stockade_new_product>() as u32;
        (request.name, request.price_minor, request.stock) = (c"Lamp".as_ptr(), 1999, PLENTY);
        let mut product: stockade_product = std::mem::zeroed();
        product.struct_size = size_of::<stockade_product>() as u32;
        let code =
            stockade_engine_create_product(engine, &request, &mut product, ptr::null_mut(), none);
        assert_eq!(code, stockade_code::Ok);
        (engine, product.id)
    }
}

/// What the C no-op is compared with: a call that is not inlined.
#[inline(never)]
fn noop(engine: &Engine) -> stockade::Result<()> {
    black_box(engine);
    Ok(())
}

fn border(criterion: &mut Criterion) {
    let rust = Engine::open("sqlite::memory:").expect("opens");
    let lamp = NewProduct::new("Lamp", "19.99".parse().expect("a price"), PLENTY);
    let lamp = rust.create_product(&lamp).expect("created").value.id;
    let (c, product_id) = opened();

    let mut group = criterion.benchmark_group("noop");
    group.bench_function("rust", |bencher| bencher.iter(|| noop(black_box(&rust))));
    group.bench_function("c", |bencher| {
        let mut error = ptr::null_mut();
        // SAFETY: the engine is open, and the error may be written to.
        bencher.iter(|| unsafe { stockade_engine_close(black_box(c), &mut error) });
    });
    group.finish();

    let mut group = criterion.benchmark_group("hold");
    group.bench_function("rust", |bencher| {
        bencher.iter(|| rust.create_hold(HoldRequest::new(lamp, 1)).expect("held"));
    });
    group.bench_function("c", |bencher| {
        let request = stockade_hold_request {
            struct_size: size_of::<stockade_hold_request>() as u32,
            quantity: 1,
            product_id,
            ttl_us: 0,
            has_ttl: 0,
            reserved: 0,
            key: ptr::null(),
            customer: ptr::null(),
            at_most: 0,
            sku: ptr::null(),
            metadata: ptr::null(),
        };
        let mut error = ptr::null_mut();
        // A status that the library overwrites; zero would be none.
        let mut hold = std::mem::MaybeUninit::<stockade_hold>::zeroed();
        // SAFETY: the size is the first field.
        unsafe { hold.as_mut_ptr().cast::<u32>().write(size_of::<stockade_hold>() as u32) };
        bencher.iter(|| {
            // SAFETY: all pointers are of live variables, and the sizes are set.
            let code = unsafe {
                stockade_engine_create_hold(
                    c,
                    &request,
                    hold.as_mut_ptr(),
                    ptr::null_mut(),
                    &mut error,
                )
            };
            assert_eq!(code, stockade_code::Ok);
        });
    });
    group.finish();
    // SAFETY: it is not used after this.
    unsafe { stockade_engine_free(c) };
}

criterion_group!(benches, border);
criterion_main!(benches);

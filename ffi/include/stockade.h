/*
 * Stockade reserves stock: hold, order, payment, and expiry, without ever
 * selling a unit twice or losing one. This header is made from ffi/src; do not
 * edit it.
 *
 * Conventions, kept by every function:
 *
 * - Codes. What can fail returns a stockade_code. Nothing is half done: where
 *   the code is not STOCKADE_CODE_OK, the answer was not written; a handle
 *   asked for is NULL.
 * - Errors. The last argument, `error`, may be NULL. Else it becomes NULL on
 *   success, or a new error that the caller frees with stockade_error_free.
 *   What it held before is overwritten, so free that first.
 *   "Errors:" lists the codes to expect; invalid_argument also stands for a
 *   NULL where something is needed, for text that is not UTF-8 and for a struct
 *   without its size, and internal for a fault of Stockade itself.
 * - Structs. The caller owns them and sets struct_size first; STOCKADE_INIT does
 *   it. New fields are added at the end and zero means their default, so a
 *   program and a library of different age understand each other. Only
 *   stockade_cart_line has no size and will not grow.
 * - Handles. Types that are only declared here are made by a function with a
 *   `**` argument, belong to the caller, and are freed once by the function of
 *   their name that ends in _free, which takes NULL as well.
 * - Texts. Those that go in are UTF-8, end with a NUL, stay the caller's and
 *   need to live for the call only. Those that come out live as long as what
 *   they were read from, but for `char **`, which stockade_string_free frees.
 * - Threads. Every function may be called from any thread. One handle may be
 *   used by several threads at once as long as none of them frees it; a
 *   stockade_error is for one thread at a time.
 * - Forks. An engine belongs to the process that opened it: in the child of a
 *   fork its calls answer misuse, all but stockade_engine_noop, and freeing it
 *   there does nothing to the parent's. A child opens an engine of its own.
 *   Loading the library starts nothing, so what forks first and opens then
 *   needs no care.
 * - Moments are microseconds since 1970 in UTC, of the store's clock. Prices
 *   are in minor units: 19.99 is 1999.
 */

#ifndef STOCKADE_H
#define STOCKADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* Sets a struct to nothing but its size, as in
 *     stockade_hold hold = STOCKADE_INIT(stockade_hold); */
#ifdef __cplusplus
#define STOCKADE_INIT(type) { sizeof(type) }
#else
#define STOCKADE_INIT(type) { .struct_size = sizeof(type) }
#endif

// The most lines that stockade_engine_hold_many reads of a cart. The
// "cart_lines_max" setting is lower by default, and never higher in effect.
#define STOCKADE_CART_LINES_MAX 65536

// The most bytes that stockade_engine_payment reads of a body: 16 MiB, well
// over what payment providers send.
#define STOCKADE_BODY_LENGTH_MAX 16777216

// The version of this ABI, as stockade_abi_version tells it.
#define STOCKADE_ABI_VERSION 1

// What became of a call. The numbers are for ever and the same in every
// language.
enum stockade_code
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // It was done.
    STOCKADE_CODE_OK = 0,
    // The request makes no sense; it will never succeed as it is.
    STOCKADE_CODE_INVALID_ARGUMENT = 1,
    // More units than one hold may have, or one customer.
    STOCKADE_CODE_QUANTITY_LIMIT = 2,
    // No such product, hold or order.
    STOCKADE_CODE_NOT_FOUND = 3,
    // The hold is of another product; it was left as it is.
    STOCKADE_CODE_PRODUCT_MISMATCH = 4,
    // Not enough stock; the error's short lines say how much there is.
    STOCKADE_CODE_INSUFFICIENT_STOCK = 5,
    // The hold's time is over, or it was released; its stock is back.
    STOCKADE_CODE_HOLD_EXPIRED = 6,
    // The hold became an order before; the error names it.
    STOCKADE_CODE_HOLD_ALREADY_USED = 7,
    // The idempotency key was used for another request.
    STOCKADE_CODE_IDEMPOTENCY_MISMATCH = 8,
    // Too many ask at once; nothing changed. Try again later.
    STOCKADE_CODE_CONTENTION = 9,
    // The store or the network is gone. Nothing is half done; with an
    // idempotency key the request can be repeated safely.
    STOCKADE_CODE_UNAVAILABLE = 10,
    // A secret is missing or wrong.
    STOCKADE_CODE_UNAUTHORIZED = 11,
    // The engine cannot be used so: it is closed, or was opened before a fork.
    STOCKADE_CODE_MISUSE = 12,
    // A fault of Stockade or of its store's content; nothing changed.
    STOCKADE_CODE_INTERNAL = 13,
    // The product was changed since the caller read it; nothing changed now.
    STOCKADE_CODE_VERSION_MISMATCH = 14,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_code stockade_code;
#else
typedef uint32_t stockade_code;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What kind of transition an event tells of.
enum stockade_event_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A hold took stock.
    STOCKADE_EVENT_KIND_HOLD_CREATED = 1,
    // A hold was given back by its caller.
    STOCKADE_EVENT_KIND_HOLD_RELEASED = 2,
    // A hold ran out and its stock went back.
    STOCKADE_EVENT_KIND_HOLD_EXPIRED = 3,
    // A hold lives longer.
    STOCKADE_EVENT_KIND_HOLD_EXTENDED = 4,
    // A hold became an order.
    STOCKADE_EVENT_KIND_ORDER_CREATED = 5,
    // An order was paid.
    STOCKADE_EVENT_KIND_ORDER_PAID = 6,
    // An order was cancelled and its stock went back.
    STOCKADE_EVENT_KIND_ORDER_CANCELLED = 7,
    // The provider's word contradicts what was final; a person should look.
    STOCKADE_EVENT_KIND_PAYMENT_CONFLICT = 8,
    // Money came for units that are gone.
    STOCKADE_EVENT_KIND_PAYMENT_NEEDS_REFUND = 9,
    // An operator received or wrote off goods.
    STOCKADE_EVENT_KIND_STOCK_ADJUSTED = 10,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_event_kind stockade_event_kind;
#else
typedef uint32_t stockade_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Where a hold stands. All but active are final.
enum stockade_hold_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // It keeps stock until it is ordered, released or expires.
    STOCKADE_HOLD_STATUS_ACTIVE = 1,
    // An order took it over.
    STOCKADE_HOLD_STATUS_CONVERTED = 2,
    // Its caller gave it back.
    STOCKADE_HOLD_STATUS_RELEASED = 3,
    // Its time ran out.
    STOCKADE_HOLD_STATUS_EXPIRED = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_hold_status stockade_hold_status;
#else
typedef uint32_t stockade_hold_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Where an order stands.
enum stockade_order_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // The payment provider has not spoken yet.
    STOCKADE_ORDER_STATUS_PENDING_PAYMENT = 1,
    // The payment was made and the units are sold.
    STOCKADE_ORDER_STATUS_PAID = 2,
    // The payment failed or was never made; the units went back.
    STOCKADE_ORDER_STATUS_CANCELLED = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_order_status stockade_order_status;
#else
typedef uint32_t stockade_order_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What became of money that arrived after its order was cancelled.
enum stockade_payment_disposition
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // No such money arrived.
    STOCKADE_PAYMENT_DISPOSITION_NONE = 1,
    // The units were still there: taken again, and the order is paid.
    STOCKADE_PAYMENT_DISPOSITION_RE_RESERVED = 2,
    // The units were gone, or the shop's setting says so: give the money back.
    STOCKADE_PAYMENT_DISPOSITION_NEEDS_REFUND = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_payment_disposition stockade_payment_disposition;
#else
typedef uint32_t stockade_payment_disposition;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How a payment event was taken.
enum stockade_payment_answer
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // The event was recorded and its order knows of it.
    STOCKADE_PAYMENT_ANSWER_RECORDED = 1,
    // The order is not there yet: the event waits for it.
    STOCKADE_PAYMENT_ANSWER_WAITING = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_payment_answer stockade_payment_answer;
#else
typedef uint32_t stockade_payment_answer;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What an audit found. Owned by the caller, who frees it with
// stockade_audit_free.
typedef struct stockade_audit stockade_audit;

// An engine. Owned by the caller, who frees it with stockade_engine_free.
// All its functions may be called from any thread at any time, but for
// stockade_engine_free, which must be the last.
typedef struct stockade_engine stockade_engine;

// Why a call did not do what was asked. Owned by the caller, who frees it
// with stockade_error_free.
typedef struct stockade_error stockade_error;

// Events, in order. Owned by the caller, who frees them with
// stockade_events_free.
typedef struct stockade_events stockade_events;

// The holds of a cart. Owned by the caller, who frees it with
// stockade_holds_free.
typedef struct stockade_holds stockade_holds;

// What an engine will be like. Owned by the caller, who frees it with
// stockade_options_free; opening an engine leaves it as it is.
typedef struct stockade_options stockade_options;

// A page of products. Owned by the caller, who frees it with
// stockade_products_free.
typedef struct stockade_products stockade_products;

// The numbers of an audit. Sums of units that are greater than INT64_MAX are
// told as INT64_MAX.
typedef struct {
    // sizeof(stockade_audit_summary), set by the caller.
    uint32_t struct_size;
    // 1 when nothing was found wrong, else 0.
    uint32_t consistent;
    // Products looked at.
    uint64_t products;
    // Units ever received, less those written off.
    int64_t received;
    // Units that can be held.
    int64_t stock;
    // Units in active holds.
    int64_t held;
    // Units in unpaid orders.
    int64_t pending;
    // Units in paid orders.
    int64_t sold;
    // Payment events that wait for an order which is not there yet. Not a
    // fault by itself.
    uint64_t waiting_events;
    // When the oldest of them came, in microseconds since 1970 in UTC; 0 for
    // none.
    int64_t oldest_waiting_event_us;
    // Products with due holds or orders that no sweep has taken back yet. Not
    // a fault: they are dead all the same.
    uint64_t products_due;
    // How many findings there are.
    uint64_t findings;
} stockade_audit_summary;

// Something that is wrong. Its texts live as long as the report.
typedef struct {
    // sizeof(stockade_finding), set by the caller.
    uint32_t struct_size;
    // Always 0.
    uint32_t reserved;
    // The id of the product, hold or order, as the check is about one or
    // another.
    uint64_t id;
    // The check that found it, such as "conservation".
    const char *check;
    // What was expected and what was found.
    const char *detail;
} stockade_finding;

// What a sweep gave back.
typedef struct {
    // sizeof(stockade_sweep_report), set by the caller.
    uint32_t struct_size;
    // Always 0.
    uint32_t reserved;
    // Holds whose time was over.
    uint64_t holds_expired;
    // Orders that were never paid.
    uint64_t orders_cancelled;
} stockade_sweep_report;

// One line of a request for which there is not enough stock.
typedef struct {
    // sizeof(stockade_short_line), set by the caller.
    uint32_t struct_size;
    // Always 0.
    uint32_t reserved;
    // The product.
    uint64_t product_id;
    // Units asked for, summed over the request.
    uint64_t requested;
    // Units that could have been held.
    uint64_t available;
} stockade_short_line;

// One transition.
typedef struct {
    // sizeof(stockade_event), set by the caller.
    uint32_t struct_size;
    // What happened.
    stockade_event_kind kind;
    // Grows from event to event; pass it on to read on.
    uint64_t cursor;
    // The product it happened to.
    uint64_t product_id;
    // The hold concerned, 0 for none.
    uint64_t hold_id;
    // The order concerned, 0 for none.
    uint64_t order_id;
    // Units concerned; negative where an operator wrote goods off.
    int64_t qty;
    // The product's version after the commit that made the transition.
    uint64_t version;
    // When it happened, in microseconds since 1970 in UTC.
    int64_t at_us;
} stockade_event;

// Asks to hold units of one product.
typedef struct {
    // sizeof(stockade_hold_request), set by the caller.
    uint32_t struct_size;
    // Units wanted, from 1 to the "max_per_hold" setting.
    uint32_t quantity;
    // The product wanted.
    uint64_t product_id;
    // How long to hold them, in microseconds; only with has_ttl.
    uint64_t ttl_us;
    // Whether ttl_us counts (1) or the "hold_ttl" setting (0).
    uint32_t has_ttl;
    // Must be 0.
    uint32_t reserved;
    // The idempotency key, or NULL.
    const char *key;
    // Whom they are held for, by any word that names one buyer in 1 to 255
    // bytes, or NULL; under the "max_per_customer" setting their holds count
    // together.
    const char *customer;
} stockade_hold_request;

// Stock kept for one buyer for a short time.
typedef struct {
    // sizeof(stockade_hold), set by the caller.
    uint32_t struct_size;
    // Where it stands.
    stockade_hold_status status;
    // Units kept.
    uint32_t qty;
    // Always 0.
    uint32_t reserved;
    // The hold's id.
    uint64_t id;
    // The product it keeps.
    uint64_t product_id;
    // It is dead from this moment on, in microseconds since 1970 in UTC.
    int64_t expires_at_us;
    // When it was made, in microseconds since 1970 in UTC.
    int64_t created_at_us;
    // An unguessable word that shows whose hold it is, with a NUL.
    char token[40];
} stockade_hold;

// One line of a cart. It cannot grow: carts are arrays of it.
typedef struct {
    // The product wanted.
    uint64_t product_id;
    // Units wanted; lines of the same product are summed.
    uint32_t quantity;
    // Must be 0.
    uint32_t reserved;
} stockade_cart_line;

// Asks to hold several products, all or none.
typedef struct {
    // sizeof(stockade_cart_request), set by the caller.
    uint32_t struct_size;
    // Whether ttl_us counts (1) or the "hold_ttl" setting (0).
    uint32_t has_ttl;
    // How long to hold them, in microseconds; only with has_ttl.
    uint64_t ttl_us;
    // The lines.
    const stockade_cart_line *lines;
    // How many lines there are, at most STOCKADE_CART_LINES_MAX.
    uint64_t line_count;
    // The idempotency key, or NULL.
    const char *key;
    // As stockade_hold_request has it.
    const char *customer;
} stockade_cart_request;

// Asks to give a hold back.
typedef struct {
    // sizeof(stockade_release_request), set by the caller.
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // The hold.
    uint64_t hold_id;
    // The hold's token, to show whose it is, or NULL, which is refused under
    // the "require_hold_token" setting.
    const char *token;
} stockade_release_request;

// Asks that a hold live longer.
typedef struct {
    // sizeof(stockade_extend_request), set by the caller.
    uint32_t struct_size;
    // Whether ttl_us counts (1) or the "hold_ttl" setting (0).
    uint32_t has_ttl;
    // The hold.
    uint64_t hold_id;
    // Its life from now on, in microseconds; only with has_ttl. A hold never
    // gets shorter, and never older than the "hold_ttl_max" setting in all.
    uint64_t ttl_us;
    // The hold's token, to show whose it is, or NULL, which is refused under
    // the "require_hold_token" setting.
    const char *token;
} stockade_extend_request;

// Asks to turn a hold into an order.
typedef struct {
    // sizeof(stockade_order_request), set by the caller.
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // The hold to use up.
    uint64_t hold_id;
    // The product that the caller believes it holds.
    uint64_t product_id;
    // The idempotency key, or NULL.
    const char *key;
    // The hold's token, to show whose it is, or NULL, which is refused under
    // the "require_hold_token" setting.
    const char *token;
} stockade_order_request;

// A hold that became an order.
typedef struct {
    // sizeof(stockade_order), set by the caller.
    uint32_t struct_size;
    // Where it stands.
    stockade_order_status status;
    // Units ordered.
    uint32_t qty;
    // What became of late money.
    stockade_payment_disposition payment_disposition;
    // The order's id.
    uint64_t id;
    // The hold it was made from.
    uint64_t hold_id;
    // The product ordered.
    uint64_t product_id;
    // When it was made, in microseconds since 1970 in UTC.
    int64_t created_at_us;
    // When it last changed, in microseconds since 1970 in UTC.
    int64_t updated_at_us;
    // What the payment provider sends back to name this order, with a NUL.
    char payment_token[64];
} stockade_order;

// A payment provider's word on how the payment of one order ended. The order
// is named by its id, by its payment token, or by both.
typedef struct {
    // sizeof(stockade_payment_event), set by the caller.
    uint32_t struct_size;
    // Whether order_id names the order (1) or only payment_token (0).
    uint32_t has_order_id;
    // The order's id.
    uint64_t order_id;
    // The order's payment token, or NULL.
    const char *payment_token;
    // How the payment ended, in the provider's word: success, succeeded, paid
    // or completed; failed, failure, cancelled, canceled, declined or expired.
    const char *status;
    // The event's idempotency key, or NULL to derive one from the order, the
    // token and the outcome.
    const char *key;
    // The body the event came in, or NULL: a key that returns with another
    // body is refused.
    const uint8_t *body;
    // The body's length in bytes, at most STOCKADE_BODY_LENGTH_MAX.
    uint64_t body_length;
} stockade_payment_event;

// A product and where its units are:
// received = stock + held + pending + sold after every commit.
typedef struct {
    // sizeof(stockade_product), set by the caller.
    uint32_t struct_size;
    // Always 0.
    uint32_t reserved;
    // The product's id.
    uint64_t id;
    // The price of one unit in minor units (hundredths).
    int64_t price_minor;
    // Units that can still be held.
    uint64_t stock;
    // Units in active holds.
    uint64_t held;
    // Units in orders that wait for their payment.
    uint64_t pending;
    // Units in paid orders.
    uint64_t sold;
    // Raised by one at each committed change of the product's stock.
    uint64_t version;
    // What the shop calls it, at most 255 characters of UTF-8, with a NUL.
    char name[1024];
} stockade_product;

// A product to be added.
typedef struct {
    // sizeof(stockade_new_product), set by the caller.
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // What the shop calls it; at most 255 characters.
    const char *name;
    // The price of one unit in minor units (hundredths); at least 0.
    int64_t price_minor;
    // Units received with it.
    uint64_t stock;
    // The idempotency key, or NULL.
    const char *key;
} stockade_new_product;

// Goods received or written off by an operator.
typedef struct {
    // sizeof(stockade_stock_adjustment), set by the caller.
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // The product.
    uint64_t product_id;
    // Units received, or written off when negative; not 0.
    int64_t delta;
    // Why, for the log; at most 255 characters.
    const char *reason;
    // The idempotency key, or NULL.
    const char *key;
    // The version that the caller saw: the adjustment is refused with
    // version_mismatch if the product has another by now. 0 for any.
    uint64_t version;
} stockade_stock_adjustment;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Compares all of the store's numbers with each other, in one snapshot.
//
// Errors: unavailable, misuse.
stockade_code stockade_engine_audit(const stockade_engine *engine,
                                    stockade_audit **audit,
                                    stockade_error **error);

// Reads the numbers of an audit.
//
// Errors: invalid_argument.
stockade_code stockade_audit_read(const stockade_audit *audit,
                                  stockade_audit_summary *summary,
                                  stockade_error **error);

// Reads a finding, counted from 0.
//
// Errors: invalid_argument when there is none so far.
stockade_code stockade_audit_finding(const stockade_audit *audit,
                                     size_t index,
                                     stockade_finding *finding,
                                     stockade_error **error);

// Frees an audit and its texts. NULL is fine.
void stockade_audit_free(stockade_audit *audit);

// The stable word of a code, such as "not_found", and "ok" for 0. Lives as
// long as the program; NULL for a number that is no code.
const char *stockade_code_name(uint32_t code);

// Opens an engine on a store, with default settings, and brings its tables up
// to date. `store` is "sqlite:FILE", "sqlite::memory:" or
// "mysql://USER@HOST/DATABASE"; or it names a running engine, one that
// `stockade serve` has open: "unix:///SOCKET" or "http://:KEY@HOST:PORT". Then
// that one does the calls, and its settings count. The engine has threads of
// its own.
//
// After a fork the child opens an engine of its own. Fork before an engine is
// opened on SQLite, or start the child by exec, and it always opens. In the
// child of a process that had opened one, SQLite's mutexes are copies, which
// may be locked for ever; opening an engine on SQLite never hangs there: it
// opens, or it is misuse, at once where the parent had the same file open at
// the fork, and within 10 seconds where another of its threads was inside
// SQLite. MySQL and running engines always open.
//
// Errors: invalid_argument for a URL of no known store, unavailable,
// unauthorized when a running engine does not take the key, misuse after a
// fork.
stockade_code stockade_engine_open(const char *store,
                                   stockade_engine **engine,
                                   stockade_error **error);

// Opens an engine as the options describe it. They stay the caller's.
//
// Errors: invalid_argument for settings that contradict each other or, with a
// running engine, are that one's own; unavailable, unauthorized; misuse after
// a fork, as stockade_engine_open says.
stockade_code stockade_engine_open_with(const stockade_options *options,
                                        stockade_engine **engine,
                                        stockade_error **error);

// Gives this process's engine with these settings: the first call opens it,
// and it stays open until the process ends. Who asks while it is being opened
// waits for that and gets what came of it; a failure is not kept. For programs
// that cannot keep a handle, such as a PHP worker, which forgets all between
// two requests. Each handle is freed as any; closing or freeing it leaves the
// engine open. After a fork the child gets an engine of its own.
//
// Errors: as stockade_engine_open_with; misuse when the process has 16 engines
// of other settings.
stockade_code stockade_engine_open_shared(const stockade_options *options,
                                          stockade_engine **engine,
                                          stockade_error **error);

// Serves what waits, refuses what comes, and lets go of the store. Calling it
// again does nothing. The handle must still be freed.
//
// Errors: misuse after a fork.
stockade_code stockade_engine_close(const stockade_engine *engine, stockade_error **error);

// Closes an engine that is not closed, and frees it. NULL is fine. A child of
// a fork may free the parent's engine: the parent's goes on, and the child
// keeps its memory.
void stockade_engine_free(stockade_engine *engine);

// Does nothing, to measure what a call costs, and so looks at nothing either:
// it is the one call that is not refused after a fork.
//
// Errors: invalid_argument when `engine` is NULL.
stockade_code stockade_engine_noop(const stockade_engine *engine, stockade_error **error);

// Reaches for the store.
//
// Errors: unavailable, misuse.
stockade_code stockade_engine_ping(const stockade_engine *engine, stockade_error **error);

// Takes back all that is due now. An engine sweeps by itself, on a thread of
// its own and without calling back; with the setting "sweeper" at "false" it
// does not, and the caller may sweep at times of its choice. What is due is
// dead all the same. `report` may be NULL.
//
// Errors: contention, unavailable, misuse.
stockade_code stockade_engine_sweep(const stockade_engine *engine,
                                    stockade_sweep_report *report,
                                    stockade_error **error);

// The engine's counters as OpenMetrics text, without the closing "# EOF". The
// caller frees the text with stockade_string_free. With a running engine they
// are those of the connection; that engine shows its own.
//
// Errors: invalid_argument, misuse.
stockade_code stockade_engine_metrics_text(const stockade_engine *engine,
                                           char **text,
                                           stockade_error **error);

// The error's code; STOCKADE_CODE_OK for NULL.
stockade_code stockade_error_code(const stockade_error *error);

// One line for a person, in UTF-8. Lives as long as the error; "" for NULL.
const char *stockade_error_message(const stockade_error *error);

// Whether exactly one line is short, and then the units of it that could have
// been held. `available` may be NULL.
bool stockade_error_available(const stockade_error *error, uint64_t *available);

// How many lines of the request are short: 0 unless the code is
// insufficient_stock.
size_t stockade_error_short_count(const stockade_error *error);

// Reads a short line, counted from 0, by ascending product. False when there
// is none so far, or `line` is NULL or has no size.
bool stockade_error_short_line(const stockade_error *error,
                               size_t index,
                               stockade_short_line *line);

// Whether the error names an order, as hold_already_used does, and which.
// `order_id` may be NULL.
bool stockade_error_order_id(const stockade_error *error, uint64_t *order_id);

// Whether this refusal repeats the answer of an earlier call with the same
// idempotency key.
bool stockade_error_replayed(const stockade_error *error);

// Milliseconds after which trying again makes sense; 0 when it never does.
uint64_t stockade_error_retry_after_ms(const stockade_error *error);

// Frees an error. NULL is fine.
void stockade_error_free(stockade_error *error);

// Reads up to `limit` (1 to 10000) events after `cursor`, 0 for the first.
//
// Errors: invalid_argument for another limit, unavailable, misuse.
stockade_code stockade_engine_events_after(const stockade_engine *engine,
                                           uint64_t cursor,
                                           uint32_t limit,
                                           stockade_events **events,
                                           stockade_error **error);

// How many events there are; 0 for NULL.
size_t stockade_events_count(const stockade_events *events);

// Reads one of the events, counted from 0.
//
// Errors: invalid_argument when there is none so far.
stockade_code stockade_events_get(const stockade_events *events,
                                  size_t index,
                                  stockade_event *event,
                                  stockade_error **error);

// Frees the list. NULL is fine.
void stockade_events_free(stockade_events *events);

// The word for a kind of event, such as "order.paid". Lives as long as the
// program; NULL for a number that is none.
const char *stockade_event_kind_name(uint32_t kind);

// Holds units of one product for a short time. `replayed` may be NULL; it
// tells whether the answer was remembered under the idempotency key.
//
// Errors: invalid_argument, quantity_limit, not_found, insufficient_stock,
// idempotency_mismatch, contention, unavailable, misuse.
stockade_code stockade_engine_hold(const stockade_engine *engine,
                                   const stockade_hold_request *request,
                                   stockade_hold *hold,
                                   bool *replayed,
                                   stockade_error **error);

// Holds several products, all or none. There is one hold for each product, by
// ascending product id. `replayed` may be NULL.
//
// Errors: as stockade_engine_hold; insufficient_stock names every short line.
stockade_code stockade_engine_hold_many(const stockade_engine *engine,
                                        const stockade_cart_request *request,
                                        stockade_holds **holds,
                                        bool *replayed,
                                        stockade_error **error);

// How many holds there are; 0 for NULL.
size_t stockade_holds_count(const stockade_holds *holds);

// Reads one of the holds, counted from 0.
//
// Errors: invalid_argument when there is none so far.
stockade_code stockade_holds_get(const stockade_holds *holds,
                                 size_t index,
                                 stockade_hold *hold,
                                 stockade_error **error);

// Frees the list; the holds themselves stay as they are. NULL is fine.
void stockade_holds_free(stockade_holds *holds);

// Gives a hold back, and answers it. One that is over already stays as it is.
// Shows no token: see stockade_engine_release_with.
//
// Errors: not_found, unauthorized under the "require_hold_token" setting,
// hold_already_used when it became an order, contention, unavailable, misuse.
stockade_code stockade_engine_release(const stockade_engine *engine,
                                      uint64_t id,
                                      stockade_hold *hold,
                                      stockade_error **error);

// Gives a hold back, as stockade_engine_release does, and can show its token.
//
// Errors: invalid_argument for a text that is no token, not_found,
// unauthorized for a token that is wrong or missing, hold_already_used when it
// became an order, contention, unavailable, misuse.
stockade_code stockade_engine_release_with(const stockade_engine *engine,
                                           const stockade_release_request *request,
                                           stockade_hold *hold,
                                           stockade_error **error);

// Makes an active hold live longer, and answers it.
//
// Errors: invalid_argument, not_found, unauthorized for a token that is wrong
// or missing, hold_expired (also when it was released), hold_already_used,
// contention, unavailable, misuse.
stockade_code stockade_engine_extend(const stockade_engine *engine,
                                     const stockade_extend_request *request,
                                     stockade_hold *hold,
                                     stockade_error **error);

// Reads a hold as it stands now.
//
// Errors: not_found, unavailable, misuse.
stockade_code stockade_engine_get_hold(const stockade_engine *engine,
                                       uint64_t id,
                                       stockade_hold *hold,
                                       stockade_error **error);

// The word for a status of a hold, such as "active". Lives as long as the
// program; NULL for a number that is none.
const char *stockade_hold_status_name(uint32_t status);

// Reads an id of a product, hold or order from text: ASCII digits. One too
// large for 64 bits becomes UINT64_MAX, which nothing has.
//
// Errors: invalid_argument for any other text.
stockade_code stockade_id_from_text(const char *text, uint64_t *id, stockade_error **error);

// Reads a quantity from text: ASCII digits, from 1 to 4294967295.
//
// Errors: invalid_argument for any other text, such as "0", "-1", "1.5" or
// "2abc".
stockade_code stockade_quantity_from_text(const char *text,
                                          uint32_t *quantity,
                                          stockade_error **error);

// Reads a price in minor units (hundredths) from a decimal text with at most
// two places: "19.99" is 1999, exactly.
//
// Errors: invalid_argument for any other text.
stockade_code stockade_price_from_text(const char *text, int64_t *minor, stockade_error **error);

// Begins to describe an engine: all settings have their defaults.
//
// Errors: invalid_argument.
stockade_code stockade_options_new(stockade_options **options, stockade_error **error);

// Changes one setting by its name, such as "hold_ttl" to "60s". The names,
// defaults and meanings are those of `stockade serve --help`, with _ for -.
// "store" is a URL as stockade_engine_open takes it. A running engine
// ("unix:///SOCKET", "http://:KEY@HOST:PORT") has settings of its own: only
// "store", "queue_limit", "remote_timeout", "remote_reconnect" and "sweeper"
// go with it.
//
// Errors: invalid_argument for an unknown name or a value that does not fit.
stockade_code stockade_options_set(stockade_options *options,
                                   const char *name,
                                   const char *value,
                                   stockade_error **error);

// Frees options. NULL is fine.
void stockade_options_free(stockade_options *options);

// Turns an active hold into an order. Payment events that came before it are
// applied at once, so the order may be paid or cancelled already. `replayed`
// may be NULL; it tells whether the answer was remembered under the
// idempotency key.
//
// Errors: not_found, unauthorized for a token that is wrong or missing,
// product_mismatch, hold_expired (also when it was released),
// hold_already_used with the order that used it, idempotency_mismatch,
// contention, unavailable, misuse.
stockade_code stockade_engine_order(const stockade_engine *engine,
                                    const stockade_order_request *request,
                                    stockade_order *order,
                                    bool *replayed,
                                    stockade_error **error);

// Reads an order as it stands now.
//
// Errors: not_found, unavailable, misuse.
stockade_code stockade_engine_get_order(const stockade_engine *engine,
                                        uint64_t id,
                                        stockade_order *order,
                                        stockade_error **error);

// The word for a status of an order, such as "paid". Lives as long as the
// program; NULL for a number that is none.
const char *stockade_order_status_name(uint32_t status);

// The word for a disposition, such as "needs_refund". Lives as long as the
// program; NULL for a number that is none.
const char *stockade_payment_disposition_name(uint32_t disposition);

// Takes the payment provider's word on an order, once for each key however
// often it comes, and also before the order is there. `replayed` may be NULL.
//
// Errors: invalid_argument (also for an unknown status and for a token that
// is not the order's), idempotency_mismatch, contention, unavailable, misuse.
stockade_code stockade_engine_payment(const stockade_engine *engine,
                                      const stockade_payment_event *request,
                                      stockade_payment_answer *answer,
                                      bool *replayed,
                                      stockade_error **error);

// The word for an answer to a payment event, such as "waiting". Lives as long
// as the program; NULL for a number that is none.
const char *stockade_payment_answer_name(uint32_t answer);

// Reads a product, from the cache where that is fresh.
//
// Errors: not_found, unavailable, misuse.
stockade_code stockade_engine_product(const stockade_engine *engine,
                                      uint64_t id,
                                      stockade_product *product,
                                      stockade_error **error);

// Reads up to `limit` (1 to 1000) products with ids above `after`, 0 for the
// first page.
//
// Errors: invalid_argument for another limit, unavailable, misuse.
stockade_code stockade_engine_products(const stockade_engine *engine,
                                       uint64_t after,
                                       uint32_t limit,
                                       stockade_products **products,
                                       stockade_error **error);

// How many products the page has; 0 for NULL.
size_t stockade_products_count(const stockade_products *products);

// Reads a product of the page, counted from 0.
//
// Errors: invalid_argument when there is none so far.
stockade_code stockade_products_get(const stockade_products *products,
                                    size_t index,
                                    stockade_product *product,
                                    stockade_error **error);

// What to pass as `after` to read on; 0 on the last page and for NULL.
uint64_t stockade_products_next(const stockade_products *products);

// Frees a page. NULL is fine.
void stockade_products_free(stockade_products *products);

// Creates a product, and answers it. A second request with the same
// idempotency key answers the product as the first one created it.
//
// Errors: invalid_argument, idempotency_mismatch, unavailable, misuse.
stockade_code stockade_engine_create_product(const stockade_engine *engine,
                                             const stockade_new_product *request,
                                             stockade_product *product,
                                             stockade_error **error);

// Receives goods or writes them off, and answers the product after it.
//
// Errors: invalid_argument, not_found, insufficient_stock when stock would go
// below zero, version_mismatch, idempotency_mismatch, contention, unavailable,
// misuse.
stockade_code stockade_engine_adjust_stock(const stockade_engine *engine,
                                           const stockade_stock_adjustment *request,
                                           stockade_product *product,
                                           stockade_error **error);

// Frees a text that this library gave. NULL is fine.
void stockade_string_free(char *text);

// The version of the ABI that this library has. A program checks once that it
// is the STOCKADE_ABI_VERSION of the header it was built with: it grows when a
// program built with an older header could be broken.
uint32_t stockade_abi_version(void);

// The version of Stockade, such as "0.1.0". Lives as long as the program.
const char *stockade_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* STOCKADE_H */

/*
 * Stockade reserves stock: hold, order, payment and expiry, without overselling
 * and without losing units. This header is generated from ffi/src; do not edit
 * it.
 *
 * Conventions of all functions:
 *
 * - Codes. A function that can fail returns a stockade_code. If it is not
 *   STOCKADE_CODE_OK, the response struct was not written, and an out-pointer
 *   of a handle is NULL.
 * - Errors. The last argument, `error`, may be NULL. Otherwise it is set to NULL
 *   on success, or to a new error that the caller frees with
 *   stockade_error_free. Its previous value is overwritten; free that first.
 *   "Errors:" lists the expected codes. In addition, invalid_argument is
 *   returned for a required argument that is NULL, for text that is not UTF-8
 *   and for a struct without its size, and internal for a bug of Stockade.
 * - Structs. The caller owns them and sets struct_size first; STOCKADE_INIT does
 *   it. New fields are appended and zero means their default, so programs and
 *   libraries of different versions interoperate. Only stockade_cart_line has
 *   no size and a fixed layout.
 * - Handles. Opaque types are created by a function with a `**` argument, are
 *   owned by the caller, and are freed once by the function of their name that
 *   ends in _free, which accepts NULL.
 * - Texts. Arguments are UTF-8, NUL-terminated, owned by the caller and only
 *   used during the call. Returned texts live as long as the object they were
 *   read from, except `char **`, which stockade_string_free frees.
 * - Threads. Every function may be called from any thread. Several threads may
 *   use one handle concurrently as long as none of them frees it; a
 *   stockade_error is not thread-safe.
 * - Forks. An engine belongs to the process that opened it: in the child of a
 *   fork its calls return misuse, and freeing it there does not affect the parent.
 *   A child opens its own engine. Loading the library starts no threads, so
 *   forking before opening is always safe.
 * - Times are microseconds since 1970 in UTC, by the store's clock. Prices are
 *   in minor units: 19.99 is 1999.
 */

#ifndef STOCKADE_H
#define STOCKADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* Initializes a struct with its size and zeros, as in
 *     stockade_hold hold = STOCKADE_INIT(stockade_hold); */
#ifdef __cplusplus
#define STOCKADE_INIT(type) { sizeof(type) }
#else
#define STOCKADE_INIT(type) { .struct_size = sizeof(type) }
#endif

// The most requests that stockade_engine_create_hold_batch accepts.
#define STOCKADE_HOLD_BATCH_MAX 65536

// The most lines that stockade_engine_create_holds accepts. The "cart_lines_max"
// setting is lower by default and cannot exceed this.
#define STOCKADE_CART_LINES_MAX 65536

// The most bytes of a body that stockade_engine_record_payment accepts: 16 MiB, well
// above what payment providers send.
#define STOCKADE_BODY_LENGTH_MAX 16777216

// The version of this ABI; stockade_abi_version returns the library's.
#define STOCKADE_ABI_VERSION 1

// The result of a call. The numbers are stable and the same in every language.
enum stockade_code
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Success.
    STOCKADE_CODE_OK = 0,
    // The request is invalid; retrying it unchanged never succeeds.
    STOCKADE_CODE_INVALID_ARGUMENT = 1,
    // More units than allowed for one hold or one customer.
    STOCKADE_CODE_QUANTITY_LIMIT = 2,
    // No such product, hold or order.
    STOCKADE_CODE_NOT_FOUND = 3,
    // The hold is for another product; it was not changed.
    STOCKADE_CODE_PRODUCT_MISMATCH = 4,
    // Not enough stock; the error's short lines give the available units.
    STOCKADE_CODE_INSUFFICIENT_STOCK = 5,
    // The hold has expired or was released; its stock was returned.
    STOCKADE_CODE_HOLD_EXPIRED = 6,
    // The hold was already used by an order; the error names it.
    STOCKADE_CODE_HOLD_ALREADY_USED = 7,
    // The idempotency key was used with another request.
    STOCKADE_CODE_IDEMPOTENCY_MISMATCH = 8,
    // Overload: too many concurrent requests. Nothing changed; retry later.
    STOCKADE_CODE_CONTENTION = 9,
    // The store or the network is unavailable. The request took effect in
    // whole or not at all; with an idempotency key it can be retried safely.
    STOCKADE_CODE_UNAVAILABLE = 10,
    // A missing or invalid credential.
    STOCKADE_CODE_UNAUTHORIZED = 11,
    // The engine was used incorrectly: it is closed, or was opened before a
    // fork.
    STOCKADE_CODE_MISUSE = 12,
    // A bug of Stockade or corrupt data in its store; nothing changed.
    STOCKADE_CODE_INTERNAL = 13,
    // The product has another version than the caller expected; nothing
    // changed.
    STOCKADE_CODE_VERSION_MISMATCH = 14,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_code stockade_code;
#else
typedef uint32_t stockade_code;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The kind of an event.
enum stockade_event_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A value that this header does not list.
    STOCKADE_EVENT_KIND_UNKNOWN = 0,
    // A hold reserved stock.
    STOCKADE_EVENT_KIND_HOLD_CREATED = 1,
    // The caller released a hold.
    STOCKADE_EVENT_KIND_HOLD_RELEASED = 2,
    // A hold expired and its stock was returned.
    STOCKADE_EVENT_KIND_HOLD_EXPIRED = 3,
    // A hold was extended.
    STOCKADE_EVENT_KIND_HOLD_EXTENDED = 4,
    // A hold became an order.
    STOCKADE_EVENT_KIND_ORDER_CREATED = 5,
    // An order was paid.
    STOCKADE_EVENT_KIND_ORDER_PAID = 6,
    // An order was cancelled and its stock was returned.
    STOCKADE_EVENT_KIND_ORDER_CANCELLED = 7,
    // A payment event contradicts a final state; an operator should look.
    STOCKADE_EVENT_KIND_PAYMENT_CONFLICT = 8,
    // A late payment must be refunded.
    STOCKADE_EVENT_KIND_PAYMENT_NEEDS_REFUND = 9,
    // An operator received or wrote off stock.
    STOCKADE_EVENT_KIND_STOCK_ADJUSTED = 10,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_event_kind stockade_event_kind;
#else
typedef uint32_t stockade_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The status of a hold. All but active are final.
enum stockade_hold_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A value that this header does not list.
    STOCKADE_HOLD_STATUS_UNKNOWN = 0,
    // Reserves stock until it is ordered, released or expires.
    STOCKADE_HOLD_STATUS_ACTIVE = 1,
    // Became an order.
    STOCKADE_HOLD_STATUS_CONVERTED = 2,
    // Released by its caller.
    STOCKADE_HOLD_STATUS_RELEASED = 3,
    // Expired.
    STOCKADE_HOLD_STATUS_EXPIRED = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_hold_status stockade_hold_status;
#else
typedef uint32_t stockade_hold_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The status of an order.
enum stockade_order_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A value that this header does not list.
    STOCKADE_ORDER_STATUS_UNKNOWN = 0,
    // No payment event was received yet.
    STOCKADE_ORDER_STATUS_PENDING_PAYMENT = 1,
    // The payment succeeded and the units are sold.
    STOCKADE_ORDER_STATUS_PAID = 2,
    // The payment failed or timed out; the units were returned.
    STOCKADE_ORDER_STATUS_CANCELLED = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_order_status stockade_order_status;
#else
typedef uint32_t stockade_order_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How a late payment, after the order was cancelled, was handled.
enum stockade_payment_disposition
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A value that this header does not list.
    STOCKADE_PAYMENT_DISPOSITION_UNKNOWN = 0,
    // No late payment was received.
    STOCKADE_PAYMENT_DISPOSITION_NONE = 1,
    // The units were still available: reserved again, and the order is paid.
    STOCKADE_PAYMENT_DISPOSITION_RE_RESERVED = 2,
    // The units were gone, or a setting forbids reserving again: refund the
    // payment.
    STOCKADE_PAYMENT_DISPOSITION_NEEDS_REFUND = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_payment_disposition stockade_payment_disposition;
#else
typedef uint32_t stockade_payment_disposition;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How a payment event was processed.
enum stockade_payment_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A value that this header does not list.
    STOCKADE_PAYMENT_STATUS_UNKNOWN = 0,
    // The event was recorded and left its order's status as it was.
    STOCKADE_PAYMENT_STATUS_RECORDED = 1,
    // The order does not exist yet: the event waits for it.
    STOCKADE_PAYMENT_STATUS_WAITING = 2,
    // The event was recorded and changed its order's status.
    STOCKADE_PAYMENT_STATUS_APPLIED = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_payment_status stockade_payment_status;
#else
typedef uint32_t stockade_payment_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The report of an audit. Owned by the caller, who frees it with
// stockade_audit_free.
typedef struct stockade_audit stockade_audit;

// An engine. Owned by the caller, who frees it with stockade_engine_free. All
// its functions are thread-safe, except stockade_engine_free, which must come
// last.
typedef struct stockade_engine stockade_engine;

// Why a call failed. Owned by the caller, who frees it with
// stockade_error_free.
typedef struct stockade_error stockade_error;

// A list of events in commit order. Owned by the caller, who frees it with
// stockade_events_free.
typedef struct stockade_events stockade_events;

// The results of a batch call, in the order of its requests. Owned by the
// caller, who frees it with stockade_hold_results_free.
typedef struct stockade_hold_results stockade_hold_results;

// The holds of a cart. Owned by the caller, who frees it with
// stockade_holds_free.
typedef struct stockade_holds stockade_holds;

// The options of an engine. Owned by the caller, who frees it with
// stockade_options_free; opening an engine does not change it.
typedef struct stockade_options stockade_options;

// A page of products. Owned by the caller, who frees it with
// stockade_products_free.
typedef struct stockade_products stockade_products;

// The totals of an audit. Sums of units above INT64_MAX are reported as
// INT64_MAX.
typedef struct {
    // sizeof(stockade_audit_summary), set by the caller.
    uint32_t struct_size;
    // 1 if the audit found no fault, else 0.
    uint32_t consistent;
    // Products audited.
    uint64_t products;
    // Units received, less units written off.
    int64_t received;
    // Units available to hold.
    int64_t stock;
    // Units in active holds.
    int64_t held;
    // Units in unpaid orders.
    int64_t pending;
    // Units in paid orders.
    int64_t sold;
    // Payment events waiting for an order that does not exist yet. Not a fault
    // by itself.
    uint64_t waiting_events;
    // When the oldest of them arrived, in microseconds since 1970 in UTC; 0
    // for none.
    int64_t oldest_waiting_event_us;
    // Products with due holds or orders that no sweep has processed yet. Not a
    // fault: due holds and orders have already expired.
    uint64_t products_due;
    // The number of findings.
    uint64_t findings;
} stockade_audit_summary;

// A fault that an audit found. Its texts live as long as the audit.
typedef struct {
    // sizeof(stockade_finding), set by the caller.
    uint32_t struct_size;
    // Always 0.
    uint32_t reserved;
    // The id of the product, hold or order, depending on the check.
    uint64_t id;
    // The check that failed, such as "conservation".
    const char *check;
    // The expected and the actual value.
    const char *detail;
} stockade_finding;

// What a sweep expired.
typedef struct {
    // sizeof(stockade_sweep_report), set by the caller.
    uint32_t struct_size;
    // Always 0.
    uint32_t reserved;
    // Holds that expired.
    uint64_t holds_expired;
    // Orders cancelled because they were not paid in time.
    uint64_t orders_cancelled;
} stockade_sweep_report;

// One line of a request that exceeds the available stock.
typedef struct {
    // sizeof(stockade_short_line), set by the caller.
    uint32_t struct_size;
    // Always 0.
    uint32_t reserved;
    // The product.
    uint64_t product_id;
    // Units requested, summed over the request.
    uint64_t requested;
    // Units available to hold.
    uint64_t available;
} stockade_short_line;

// One event: a committed state transition.
typedef struct {
    // sizeof(stockade_event), set by the caller.
    uint32_t struct_size;
    // The kind of the event.
    stockade_event_kind kind;
    // The event's position, strictly increasing; pass the last one to read on.
    uint64_t cursor;
    // The product.
    uint64_t product_id;
    // The hold, 0 for none.
    uint64_t hold_id;
    // The order, 0 for none.
    uint64_t order_id;
    // Units; negative for a write-off.
    int64_t quantity;
    // The product's version after the transaction of the event.
    uint64_t version;
    // When it was committed, in microseconds since 1970 in UTC.
    int64_t at_us;
} stockade_event;

// A request to hold units of one product.
typedef struct {
    // sizeof(stockade_hold_request), set by the caller.
    uint32_t struct_size;
    // Units requested, from 1 to the "max_per_hold" setting.
    uint32_t quantity;
    // The product.
    uint64_t product_id;
    // The time to live, in microseconds; used only with has_ttl.
    uint64_t ttl_us;
    // 1 to use ttl_us, 0 to use the "hold_ttl" setting.
    uint32_t has_ttl;
    // Must be 0.
    uint32_t reserved;
    // The idempotency key, or NULL.
    const char *key;
    // The customer, any identifier of 1 to 255 bytes, or NULL. Under the
    // "max_per_customer" setting the holds of one customer count together.
    const char *customer;
} stockade_hold_request;

// Stock reserved for one buyer for a short time.
typedef struct {
    // sizeof(stockade_hold), set by the caller.
    uint32_t struct_size;
    // Its status.
    stockade_hold_status status;
    // Units reserved.
    uint32_t quantity;
    // Always 0.
    uint32_t reserved;
    // The hold's id.
    uint64_t id;
    // The product.
    uint64_t product_id;
    // It is expired from this moment on, in microseconds since 1970 in UTC.
    int64_t expires_at_us;
    // When it was created, in microseconds since 1970 in UTC.
    int64_t created_at_us;
    // An unguessable token that authorizes using the hold, NUL-terminated.
    char token[40];
} stockade_hold;

// One line of a cart. Its layout is fixed: carts are arrays of it.
typedef struct {
    // The product.
    uint64_t product_id;
    // Units requested; lines of the same product are summed.
    uint32_t quantity;
    // Must be 0.
    uint32_t reserved;
} stockade_cart_line;

// A request to hold several products atomically: all or none.
typedef struct {
    // sizeof(stockade_cart_request), set by the caller.
    uint32_t struct_size;
    // 1 to use ttl_us, 0 to use the "hold_ttl" setting.
    uint32_t has_ttl;
    // The time to live, in microseconds; used only with has_ttl.
    uint64_t ttl_us;
    // The lines.
    const stockade_cart_line *lines;
    // The number of lines, at most STOCKADE_CART_LINES_MAX.
    uint64_t line_count;
    // The idempotency key, or NULL.
    const char *key;
    // As in stockade_hold_request.
    const char *customer;
} stockade_cart_request;

// A request to release a hold.
typedef struct {
    // sizeof(stockade_release_request), set by the caller.
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // The hold.
    uint64_t hold_id;
    // The hold's token, or NULL, which is rejected under the
    // "require_hold_token" setting.
    const char *token;
} stockade_release_request;

// A request to extend a hold.
typedef struct {
    // sizeof(stockade_extend_request), set by the caller.
    uint32_t struct_size;
    // 1 to use ttl_us, 0 to use the "hold_ttl" setting.
    uint32_t has_ttl;
    // The hold.
    uint64_t hold_id;
    // The time to live from now, in microseconds; used only with has_ttl. A
    // hold is never shortened, and its total life never exceeds the
    // "hold_ttl_max" setting.
    uint64_t ttl_us;
    // The hold's token, or NULL, which is rejected under the
    // "require_hold_token" setting.
    const char *token;
} stockade_extend_request;

// A request to turn a hold into an order.
typedef struct {
    // sizeof(stockade_order_request), set by the caller.
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // The hold to use.
    uint64_t hold_id;
    // The product that the caller expects the hold to be for.
    uint64_t product_id;
    // The idempotency key, or NULL.
    const char *key;
    // The hold's token, or NULL, which is rejected under the
    // "require_hold_token" setting.
    const char *token;
} stockade_order_request;

// An order, created from a hold.
typedef struct {
    // sizeof(stockade_order), set by the caller.
    uint32_t struct_size;
    // Its status.
    stockade_order_status status;
    // Units ordered.
    uint32_t quantity;
    // How a late payment was handled.
    stockade_payment_disposition payment_disposition;
    // The order's id.
    uint64_t id;
    // The hold it was created from.
    uint64_t hold_id;
    // The product.
    uint64_t product_id;
    // When it was created, in microseconds since 1970 in UTC.
    int64_t created_at_us;
    // When it last changed, in microseconds since 1970 in UTC.
    int64_t updated_at_us;
    // The token by which the payment provider names this order,
    // NUL-terminated.
    char payment_token[64];
} stockade_order;

// A payment provider's event: the outcome of one order's payment. The order is
// named by its id, its payment token, or both.
typedef struct {
    // sizeof(stockade_payment_event), set by the caller.
    uint32_t struct_size;
    // 1 to use order_id, 0 to use only payment_token.
    uint32_t has_order_id;
    // The order's id.
    uint64_t order_id;
    // The order's payment token, or NULL.
    const char *payment_token;
    // The outcome, as providers name it, in any case: success, succeeded, paid,
    // completed or captured; failed, failure, declined or refused; cancelled,
    // canceled, expired or voided; pending, processing, authorized or
    // requires_action, which change nothing.
    const char *status;
    // The event's idempotency key, or NULL to derive one from the order, the
    // token and the outcome.
    const char *key;
    // The body of the webhook, or NULL. A key that is reused with another body
    // is rejected.
    const uint8_t *body;
    // The body's length in bytes, at most STOCKADE_BODY_LENGTH_MAX.
    uint64_t body_length;
} stockade_payment_event;

// A product and its stock accounting:
// received = stock + held + pending + sold after every commit.
typedef struct {
    // sizeof(stockade_product), set by the caller.
    uint32_t struct_size;
    // Always 0.
    uint32_t reserved;
    // The product's id.
    uint64_t id;
    // The unit price in minor units (hundredths).
    int64_t price_minor;
    // Units available to hold.
    uint64_t stock;
    // Units in active holds.
    uint64_t held;
    // Units in unpaid orders.
    uint64_t pending;
    // Units in paid orders.
    uint64_t sold;
    // Incremented by every committed change of the product's stock.
    uint64_t version;
    // The name, at most 255 characters of UTF-8, NUL-terminated.
    char name[1024];
} stockade_product;

// A product to create.
typedef struct {
    // sizeof(stockade_new_product), set by the caller.
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // The name, at most 255 characters.
    const char *name;
    // The unit price in minor units (hundredths); at least 0.
    int64_t price_minor;
    // The initial stock.
    uint64_t stock;
    // The idempotency key, or NULL.
    const char *key;
} stockade_new_product;

// A stock adjustment by an operator: goods received or written off.
typedef struct {
    // sizeof(stockade_stock_adjustment), set by the caller.
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // The product.
    uint64_t product_id;
    // Units received, or written off if negative; not 0.
    int64_t delta;
    // The reason, for the log; at most 255 characters.
    const char *reason;
    // The idempotency key, or NULL.
    const char *key;
    // The version that the caller expects (optimistic concurrency control):
    // another one is rejected with version_mismatch. 0 for any.
    uint64_t version;
} stockade_stock_adjustment;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Checks the consistency of all stock in one snapshot of the store.
//
// Errors: unavailable, misuse.
stockade_code stockade_engine_audit(const stockade_engine *engine,
                                    stockade_audit **audit,
                                    stockade_error **error);

// Reads the totals of an audit.
//
// Errors: invalid_argument.
stockade_code stockade_audit_read(const stockade_audit *audit,
                                  stockade_audit_summary *summary,
                                  stockade_error **error);

// Reads a finding, counted from 0.
//
// Errors: invalid_argument if the index is out of range.
stockade_code stockade_audit_finding(const stockade_audit *audit,
                                     size_t index,
                                     stockade_finding *finding,
                                     stockade_error **error);

// Frees an audit and its texts. NULL is allowed.
void stockade_audit_free(stockade_audit *audit);

// Returns the stable name of a code, such as "not_found"; "ok" for 0 and NULL
// for an unknown number. Static.
const char *stockade_code_name(uint32_t code);

// Opens an engine on a store with default settings, and migrates the store.
// `store` is "sqlite:FILE", "sqlite::memory:" or "mysql://USER@HOST/DATABASE";
// or the URL of a running engine, which `stockade serve` has open:
// "unix:///SOCKET" or "http://:KEY@HOST:PORT". That engine then executes the
// calls with its own settings. An engine has its own threads.
//
// After a fork the child opens its own engine. EngineCell always succeeds if the
// fork happened before an engine was opened on SQLite, or if the child was
// started by exec. In the child of a process that had opened one, SQLite's
// mutexes are copies that may stay locked. EngineCell an engine on SQLite never
// deadlocks there: it succeeds or fails with misuse, immediately if the parent
// had the same file open at the fork, within 10 seconds if another thread was
// inside SQLite. MySQL and running engines always open.
//
// Errors: invalid_argument for an unsupported URL, unavailable, unauthorized
// if a running engine rejects the key, misuse after a fork.
stockade_code stockade_engine_open(const char *store,
                                   stockade_engine **engine,
                                   stockade_error **error);

// Opens an engine with these options, which stay the caller's.
//
// Errors: invalid_argument for contradictory settings or, with a running
// engine, for settings that belong to that engine; unavailable, unauthorized;
// misuse after a fork, see stockade_engine_open.
stockade_code stockade_engine_open_with(const stockade_options *options,
                                        stockade_engine **engine,
                                        stockade_error **error);

// Returns this process's shared engine with these settings. The first call
// opens it, and it stays open until the process ends. Concurrent callers wait
// for the first (single-flight) and get its result; an error is not cached.
// For programs that cannot keep a handle, such as a PHP worker, which loses
// all state between two requests. Each handle must be freed; closing or
// freeing it leaves the engine open. After a fork the child gets its own
// engine.
//
// Errors: as stockade_engine_open_with; misuse if the process already has 16
// shared engines with other settings.
stockade_code stockade_engine_open_shared(const stockade_options *options,
                                          stockade_engine **engine,
                                          stockade_error **error);

// Drains queued requests, rejects new ones, then closes the store. Closing
// again does nothing. The handle must still be freed.
//
// Errors: misuse after a fork.
stockade_code stockade_engine_close(const stockade_engine *engine, stockade_error **error);

// Closes an open engine and frees its handle. NULL is allowed. In the child of
// a fork, freeing the parent's engine does not affect the parent; the child
// leaks its memory.
void stockade_engine_free(stockade_engine *engine);

// Checks that the store is reachable.
//
// Errors: unavailable, misuse.
stockade_code stockade_engine_ping(const stockade_engine *engine, stockade_error **error);

// Expires all due holds and cancels all unpaid orders that are due. An engine
// sweeps in the background, on its own thread and without callbacks. With the
// setting "sweeper" set to "false" it does not, and the caller sweeps. Due
// holds count as expired before any sweep. `report` may be NULL.
//
// Errors: contention, unavailable, misuse.
stockade_code stockade_engine_sweep(const stockade_engine *engine,
                                    stockade_sweep_report *report,
                                    stockade_error **error);

// Returns the engine's metrics as OpenMetrics text, without the final "# EOF".
// The caller frees the text with stockade_string_free. With a running engine
// they are the client's metrics; that engine exports its own.
//
// Errors: invalid_argument, misuse.
stockade_code stockade_engine_metrics_text(const stockade_engine *engine,
                                           char **text,
                                           stockade_error **error);

// Returns the error's code; STOCKADE_CODE_OK for NULL.
stockade_code stockade_error_code(const stockade_error *error);

// Returns a one-line message in UTF-8. Lives as long as the error; "" for
// NULL.
const char *stockade_error_message(const stockade_error *error);

// Returns true if exactly one line is short, and sets `available` to its
// available units. `available` may be NULL.
bool stockade_error_available(const stockade_error *error, uint64_t *available);

// Returns the number of short lines: 0 unless the code is insufficient_stock.
size_t stockade_error_short_count(const stockade_error *error);

// Reads a short line, counted from 0, by ascending product. Returns false if
// the index is out of range, or if `line` is NULL or has no size.
bool stockade_error_short_line(const stockade_error *error,
                               size_t index,
                               stockade_short_line *line);

// Returns true if the error names an order, as hold_already_used does, and
// sets `order_id`, which may be NULL.
bool stockade_error_order_id(const stockade_error *error, uint64_t *order_id);

// Returns true if this error replays the result of an earlier call with the
// same idempotency key.
bool stockade_error_replayed(const stockade_error *error);

// Returns the milliseconds to wait before a retry; 0 if a retry is pointless.
uint64_t stockade_error_retry_after_ms(const stockade_error *error);

// Frees an error. NULL is allowed.
void stockade_error_free(stockade_error *error);

// Reads up to `limit` (1 to 10000) events after `cursor`, 0 for the beginning.
//
// Errors: invalid_argument for another limit, unavailable, misuse.
stockade_code stockade_engine_events_after(const stockade_engine *engine,
                                           uint64_t cursor,
                                           uint32_t limit,
                                           stockade_events **events,
                                           stockade_error **error);

// Returns the number of events; 0 for NULL.
size_t stockade_events_count(const stockade_events *events);

// Reads an event of the list, counted from 0.
//
// Errors: invalid_argument if the index is out of range.
stockade_code stockade_events_get(const stockade_events *events,
                                  size_t index,
                                  stockade_event *event,
                                  stockade_error **error);

// Frees the list. NULL is allowed.
void stockade_events_free(stockade_events *events);

// Returns the name of an event kind, such as "order.paid"; NULL for an unknown
// number. Static.
const char *stockade_event_kind_name(uint32_t kind);

// Creates many holds by one call: each request on its own, as
// stockade_engine_create_hold does; those for one product are decided in the
// order of the array. Waits once for all of them. `results` gets one result for
// each request, in the same order; a request that fails, or that cannot be
// read, costs only itself.
//
// `requests` is an array of `count` structs, at most STOCKADE_HOLD_BATCH_MAX,
// all with the same struct_size; may be NULL if `count` is 0.
//
// Errors of the call as a whole: invalid_argument for another count, an array
// that is NULL or not aligned, or structs without their size or of different
// sizes; misuse; unavailable, after which each request took effect in whole or
// not at all.
stockade_code stockade_engine_create_hold_batch(const stockade_engine *engine,
                                                const stockade_hold_request *requests,
                                                uint64_t count,
                                                stockade_hold_results **results,
                                                stockade_error **error);

// Returns the number of results; 0 for NULL.
size_t stockade_hold_results_count(const stockade_hold_results *results);

// Reads a result of the list, counted from 0: writes the hold, or returns the
// error of that request as stockade_engine_create_hold would have. `replayed`
// may be NULL; it is written with the hold, and tells whether the result
// replays an earlier one with the same idempotency key.
//
// Errors: those of stockade_engine_create_hold; invalid_argument also if the
// index is out of range.
stockade_code stockade_hold_results_get(const stockade_hold_results *results,
                                        size_t index,
                                        stockade_hold *hold,
                                        bool *replayed,
                                        stockade_error **error);

// Frees the list; does not release the holds. NULL is allowed.
void stockade_hold_results_free(stockade_hold_results *results);

// Holds units of one product. `replayed` may be NULL; it tells whether the
// response replays an earlier one with the same idempotency key.
//
// Errors: invalid_argument, quantity_limit, not_found, insufficient_stock,
// idempotency_mismatch, contention, unavailable, misuse.
stockade_code stockade_engine_create_hold(const stockade_engine *engine,
                                          const stockade_hold_request *request,
                                          stockade_hold *hold,
                                          bool *replayed,
                                          stockade_error **error);

// Holds several products atomically: all or none. Returns one hold per
// product, by ascending product id. `replayed` may be NULL.
//
// Errors: as stockade_engine_create_hold; insufficient_stock lists every short line.
stockade_code stockade_engine_create_holds(const stockade_engine *engine,
                                           const stockade_cart_request *request,
                                           stockade_holds **holds,
                                           bool *replayed,
                                           stockade_error **error);

// Returns the number of holds; 0 for NULL.
size_t stockade_holds_count(const stockade_holds *holds);

// Reads a hold of the list, counted from 0.
//
// Errors: invalid_argument if the index is out of range.
stockade_code stockade_holds_get(const stockade_holds *holds,
                                 size_t index,
                                 stockade_hold *hold,
                                 stockade_error **error);

// Frees the list; does not release the holds. NULL is allowed.
void stockade_holds_free(stockade_holds *holds);

// Releases a hold and returns it. A hold that is already released or expired
// is not changed. Sends no token: see stockade_engine_release_hold_with.
//
// Errors: not_found, unauthorized under the "require_hold_token" setting,
// hold_already_used if it became an order, contention, unavailable, misuse.
stockade_code stockade_engine_release_hold(const stockade_engine *engine,
                                           uint64_t id,
                                           stockade_hold *hold,
                                           stockade_error **error);

// Releases a hold, as stockade_engine_release_hold does, with its token.
//
// Errors: invalid_argument for a malformed token, not_found, unauthorized for
// an invalid or missing token, hold_already_used if it became an order,
// contention, unavailable, misuse.
stockade_code stockade_engine_release_hold_with(const stockade_engine *engine,
                                                const stockade_release_request *request,
                                                stockade_hold *hold,
                                                stockade_error **error);

// Extends an active hold and returns it.
//
// Errors: invalid_argument, not_found, unauthorized for an invalid or missing
// token, hold_expired (also if it was released), hold_already_used,
// contention, unavailable, misuse.
stockade_code stockade_engine_extend_hold(const stockade_engine *engine,
                                          const stockade_extend_request *request,
                                          stockade_hold *hold,
                                          stockade_error **error);

// Reads the current state of a hold.
//
// Errors: not_found, unavailable, misuse.
stockade_code stockade_engine_hold(const stockade_engine *engine,
                                   uint64_t id,
                                   stockade_hold *hold,
                                   stockade_error **error);

// Returns the name of a hold's status, such as "active"; NULL for an unknown
// number. Static.
const char *stockade_hold_status_name(uint32_t status);

// Parses the id of a product, hold or order: ASCII digits. An id that exceeds
// 64 bits becomes UINT64_MAX, which no object has.
//
// Errors: invalid_argument for any other text.
stockade_code stockade_id_from_text(const char *text, uint64_t *id, stockade_error **error);

// Parses a quantity: ASCII digits, from 1 to 4294967295.
//
// Errors: invalid_argument for any other text, such as "0", "-1", "1.5" or
// "2abc".
stockade_code stockade_quantity_from_text(const char *text,
                                          uint32_t *quantity,
                                          stockade_error **error);

// Parses a price into minor units (hundredths), from a decimal text with at
// most two decimal places: "19.99" is 1999, exactly.
//
// Errors: invalid_argument for any other text.
stockade_code stockade_price_from_text(const char *text, int64_t *minor, stockade_error **error);

// Creates options with default settings.
//
// Errors: invalid_argument.
stockade_code stockade_options_new(stockade_options **options, stockade_error **error);

// Sets a setting by its name, such as "hold_ttl" to "60s". The names, defaults
// and meanings are those of `stockade serve --help`, with _ for -. "store" is
// a URL as stockade_engine_open takes it. A running engine ("unix:///SOCKET",
// "http://:KEY@HOST:PORT") has its own settings: only "store", "queue_limit",
// "remote_timeout", "remote_reconnect" and "sweeper" apply to its clients.
//
// Errors: invalid_argument for an unknown name or an invalid value.
stockade_code stockade_options_set(stockade_options *options,
                                   const char *name,
                                   const char *value,
                                   stockade_error **error);

// Frees options. NULL is allowed.
void stockade_options_free(stockade_options *options);

// Turns an active hold into an order. Payment events that arrived before it
// are applied immediately, so the order may already be paid or cancelled.
// `replayed` may be NULL; it tells whether the response replays an earlier one
// with the same idempotency key.
//
// Errors: not_found, unauthorized for an invalid or missing token,
// product_mismatch, hold_expired (also if it was released), hold_already_used
// with the order that used it, idempotency_mismatch, contention, unavailable,
// misuse.
stockade_code stockade_engine_create_order(const stockade_engine *engine,
                                           const stockade_order_request *request,
                                           stockade_order *order,
                                           bool *replayed,
                                           stockade_error **error);

// Reads the current state of an order.
//
// Errors: not_found, unavailable, misuse.
stockade_code stockade_engine_order(const stockade_engine *engine,
                                    uint64_t id,
                                    stockade_order *order,
                                    stockade_error **error);

// Returns the name of an order's status, such as "paid"; NULL for an
// unknown number. Static.
const char *stockade_order_status_name(uint32_t status);

// Returns the name of a disposition, such as "needs_refund"; NULL for an
// unknown number. Static.
const char *stockade_payment_disposition_name(uint32_t disposition);

// Applies a payment event to its order, once per key however often it is
// delivered, even before the order exists. `status` and `replayed`
// may be NULL.
//
// Errors: invalid_argument (also for an unknown status and for another order's
// token), idempotency_mismatch, contention, unavailable, misuse.
stockade_code stockade_engine_record_payment(const stockade_engine *engine,
                                             const stockade_payment_event *request,
                                             stockade_payment_status *status,
                                             bool *replayed,
                                             stockade_error **error);

// Returns the name of a payment event's status, such as "waiting"; NULL for an
// unknown number. Static.
const char *stockade_payment_status_name(uint32_t status);

// Reads a product, from the cache if the entry is fresh.
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

// Returns the number of products on the page; 0 for NULL.
size_t stockade_products_count(const stockade_products *products);

// Reads a product of the page, counted from 0.
//
// Errors: invalid_argument if the index is out of range.
stockade_code stockade_products_get(const stockade_products *products,
                                    size_t index,
                                    stockade_product *product,
                                    stockade_error **error);

// Returns `after` for the next page; 0 on the last page and for NULL.
uint64_t stockade_products_next(const stockade_products *products);

// Frees a page. NULL is allowed.
void stockade_products_free(stockade_products *products);

// Creates a product and returns it. A repeated request with the same
// idempotency key returns the product as first created.
//
// Errors: invalid_argument, idempotency_mismatch, unavailable, misuse.
stockade_code stockade_engine_create_product(const stockade_engine *engine,
                                             const stockade_new_product *request,
                                             stockade_product *product,
                                             stockade_error **error);

// Adjusts a product's stock and returns the product afterwards.
//
// Errors: invalid_argument, not_found, insufficient_stock if stock would
// become negative, version_mismatch, idempotency_mismatch, contention,
// unavailable, misuse.
stockade_code stockade_engine_adjust_stock(const stockade_engine *engine,
                                           const stockade_stock_adjustment *request,
                                           stockade_product *product,
                                           stockade_error **error);

// Frees a text of this library. NULL is allowed.
void stockade_string_free(char *text);

// Returns the library's ABI version. A program should check once that it
// equals STOCKADE_ABI_VERSION of the header it was compiled with. It is
// incremented by incompatible changes.
uint32_t stockade_abi_version(void);

// Returns the version of Stockade, such as "0.1.0". Static.
const char *stockade_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* STOCKADE_H */

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
 *   libraries of different versions interoperate. Only stockade_cart_line,
 *   stockade_ordered_hold and stockade_line_units have no size and a fixed layout.
 * - Handles. Opaque types are created by a function with a `**` argument, are
 *   owned by the caller, and are freed once by the function of their name that
 *   ends in _free, which accepts NULL. An engine may have several handles
 *   (stockade_engine_acting_as); each is freed once, in any order.
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
 * - Products are named by their id, or by the shop's own id (SKU), never by both.
 * - Times are microseconds since 1970 in UTC, by the store's clock;
 *   stockade_time_from_text reads others. Prices and amounts are decimals as texts,
 *   or in minor units of their currency: 19.99 EUR is 1999.
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

// The most holds of an order, and the most lines of a refund, that are read. The
// engine's own limit is lower.
#define STOCKADE_ORDER_LINES_MAX 65536

// The most requests that stockade_engine_put_products accepts.
#define STOCKADE_PRODUCT_BATCH_MAX 65536

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
    // The name is taken: another product or another order has it; the error names
    // the one that has it.
    STOCKADE_CODE_ALREADY_EXISTS = 15,
    // The product is not for sale now; the error says why.
    STOCKADE_CODE_NOT_ON_SALE = 16,
    // The order is paid, so that it can only be refunded.
    STOCKADE_CODE_ALREADY_PAID = 17,
    // The order is cancelled.
    STOCKADE_CODE_ORDER_CANCELLED = 18,
    // The order was never paid, so that nothing can be refunded.
    STOCKADE_CODE_NOT_PAID = 19,
    // More money or more units than are left to refund.
    STOCKADE_CODE_REFUND_TOO_LARGE = 20,
    // Fewer units of the order are returned than are to be restocked.
    STOCKADE_CODE_NOTHING_RETURNED = 21,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_code stockade_code;
#else
typedef uint32_t stockade_code;
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

// Why a product is not for sale.
enum stockade_off_sale
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A value that this header does not list.
    STOCKADE_OFF_SALE_UNKNOWN = 0,
    // It is not sold before the moment.
    STOCKADE_OFF_SALE_BEFORE = 1,
    // It is not sold from the moment on.
    STOCKADE_OFF_SALE_SINCE = 2,
    // It is archived.
    STOCKADE_OFF_SALE_ARCHIVED = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_off_sale stockade_off_sale;
#else
typedef uint32_t stockade_off_sale;
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
    // The quantity of an active hold was changed.
    STOCKADE_EVENT_KIND_HOLD_CHANGED = 11,
    // A pending order may be paid until later.
    STOCKADE_EVENT_KIND_ORDER_EXTENDED = 12,
    // Money of a paid order was given back, and the units named, if any.
    STOCKADE_EVENT_KIND_ORDER_REFUNDED = 13,
    // Returned units of a refunded order are for sale again.
    STOCKADE_EVENT_KIND_ORDER_RESTOCKED = 14,
    // An attempt to pay a pending order failed; another may follow.
    STOCKADE_EVENT_KIND_PAYMENT_ATTEMPT_FAILED = 15,
    // A payment of another amount or currency than the order's arrived.
    STOCKADE_EVENT_KIND_PAYMENT_AMOUNT_MISMATCH = 16,
    // A second payment of a paid order arrived; it must be refunded.
    STOCKADE_EVENT_KIND_PAYMENT_DUPLICATE = 17,
    // A product was made.
    STOCKADE_EVENT_KIND_PRODUCT_CREATED = 18,
    // A product was changed, or is sold again after it was archived.
    STOCKADE_EVENT_KIND_PRODUCT_CHANGED = 19,
    // A product was archived: it is no longer sold.
    STOCKADE_EVENT_KIND_PRODUCT_ARCHIVED = 20,
    // A customer's name was erased.
    STOCKADE_EVENT_KIND_CUSTOMER_ERASED = 21,
    // The customer disputes a payment; an operator should look after it.
    STOCKADE_EVENT_KIND_PAYMENT_DISPUTED = 22,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_event_kind stockade_event_kind;
#else
typedef uint32_t stockade_event_kind;
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
    // It will not be paid; the units were returned to stock.
    STOCKADE_ORDER_STATUS_CANCELLED = 3,
    // It was paid, and some of the money was given back.
    STOCKADE_ORDER_STATUS_PARTIALLY_REFUNDED = 4,
    // It was paid, and all of the money was given back; of a free order, all units.
    STOCKADE_ORDER_STATUS_REFUNDED = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_order_status stockade_order_status;
#else
typedef uint32_t stockade_order_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What became of money that did not simply pay an order.
enum stockade_payment_disposition
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A value that this header does not list.
    STOCKADE_PAYMENT_DISPOSITION_UNKNOWN = 0,
    // There was no such money.
    STOCKADE_PAYMENT_DISPOSITION_NONE = 1,
    // It was late, and the units were still available: reserved again, and the
    // order is paid.
    STOCKADE_PAYMENT_DISPOSITION_RE_RESERVED = 2,
    // It was late or a second payment: refund it.
    STOCKADE_PAYMENT_DISPOSITION_NEEDS_REFUND = 3,
    // It is not the order's amount or currency; the order still waits.
    STOCKADE_PAYMENT_DISPOSITION_AMOUNT_MISMATCH = 4,
    // It had to be refunded, and was.
    STOCKADE_PAYMENT_DISPOSITION_REFUNDED = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_payment_disposition stockade_payment_disposition;
#else
typedef uint32_t stockade_payment_disposition;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The levels of the log.
enum stockade_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A bug, or a store that does not do what it must.
    STOCKADE_LOG_LEVEL_ERROR = 1,
    // Something failed that is tried again, or needs an operator.
    STOCKADE_LOG_LEVEL_WARN = 2,
    // What an operator did, and what changed in the engine's state.
    STOCKADE_LOG_LEVEL_INFO = 3,
    // What only a maintainer of Stockade looks for.
    STOCKADE_LOG_LEVEL_DEBUG = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_log_level stockade_log_level;
#else
typedef uint32_t stockade_log_level;
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

// The outcome of a payment.
enum stockade_outcome
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A value that this header does not list.
    STOCKADE_OUTCOME_UNKNOWN = 0,
    // The payment succeeded.
    STOCKADE_OUTCOME_SUCCESS = 1,
    // An attempt to pay failed.
    STOCKADE_OUTCOME_FAILURE = 2,
    // The payment ended without money.
    STOCKADE_OUTCOME_CANCELLED = 3,
    // The payment goes on; nothing says yet how it ends.
    STOCKADE_OUTCOME_NEUTRAL = 4,
    // The customer disputes the payment: an event tells of it, and nothing else
    // changes.
    STOCKADE_OUTCOME_DISPUTED = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stockade_outcome stockade_outcome;
#else
typedef uint32_t stockade_outcome;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The report of an audit. Owned by the caller, who frees it with
// stockade_audit_free.
typedef struct stockade_audit stockade_audit;

// A handle of an engine. Owned by the caller, who frees it with
// stockade_engine_free. All its functions are thread-safe, except
// stockade_engine_free, which must come last.
typedef struct stockade_engine stockade_engine;

// Why a call failed. Owned by the caller, who frees it with
// stockade_error_free.
typedef struct stockade_error stockade_error;

// A list of events in commit order. Owned by the caller, who frees it with
// stockade_events_free.
typedef struct stockade_events stockade_events;

// A page of holds, by ascending id. Owned by the caller, who frees it with
// stockade_hold_page_free.
typedef struct stockade_hold_page stockade_hold_page;

// The results of a batch call, in the order of its requests. Owned by the
// caller, who frees it with stockade_hold_results_free.
typedef struct stockade_hold_results stockade_hold_results;

// A cart: its holds, its id and its token. Owned by the caller, who frees it
// with stockade_holds_free.
typedef struct stockade_holds stockade_holds;

// The options of an engine. Owned by the caller, who frees it with
// stockade_options_free; opening an engine does not change it.
typedef struct stockade_options stockade_options;

// The lines of an order as one call returned it. Owned by the caller, who frees
// it with stockade_order_lines_free.
typedef struct stockade_order_lines stockade_order_lines;

// A page of orders, by ascending id. Owned by the caller, who frees it with
// stockade_order_page_free.
typedef struct stockade_order_page stockade_order_page;

// A page of products. Owned by the caller, who frees it with
// stockade_products_free.
typedef struct stockade_products stockade_products;

// The results of stockade_engine_put_products, in the order of its requests. Owned
// by the caller, who frees it with stockade_put_results_free.
typedef struct stockade_put_results stockade_put_results;

// A page of waiting payment events, the oldest first. Owned by the caller, who
// frees it with stockade_waiting_payments_free.
typedef struct stockade_waiting_payments stockade_waiting_payments;

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
    // Units in paid orders, less those refunded.
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
    // Units refunded and not for sale again.
    int64_t returned;
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

// What names a cart.
typedef struct {
    // sizeof(stockade_cart), set by the caller.
    uint32_t struct_size;
    // Always 0.
    uint32_t reserved;
    // The cart's id: the smallest id of its holds.
    uint64_t id;
    // An unguessable token that authorizes using the cart and each of its
    // holds, NUL-terminated. Only the call that makes the cart shows it:
    // elsewhere it is empty.
    char token[40];
} stockade_cart;

// A request to release a cart.
typedef struct {
    // sizeof(stockade_release_cart_request), set by the caller.
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // The cart.
    uint64_t cart_id;
    // The cart's token, or NULL, which is rejected under the
    // "require_hold_token" setting.
    const char *token;
} stockade_release_cart_request;

// A request to extend a cart.
typedef struct {
    // sizeof(stockade_extend_cart_request), set by the caller.
    uint32_t struct_size;
    // 1 to use ttl_us, 0 to use the "hold_ttl" setting.
    uint32_t has_ttl;
    // The cart.
    uint64_t cart_id;
    // As in stockade_extend_request.
    uint64_t ttl_us;
    // The cart's token, or NULL, which is rejected under the
    // "require_hold_token" setting.
    const char *token;
} stockade_extend_cart_request;

// A request to change the quantity of a hold.
typedef struct {
    // sizeof(stockade_quantity_request), set by the caller.
    uint32_t struct_size;
    // The units that it shall have, from 1 to the "max_per_hold" setting.
    uint32_t quantity;
    // The hold.
    uint64_t hold_id;
    // The hold's token or its cart's, or NULL, which is rejected under the
    // "require_hold_token" setting.
    const char *token;
    // The idempotency key, or NULL.
    const char *key;
} stockade_quantity_request;

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
    // An unguessable token that authorizes using the hold, NUL-terminated. Only the
    // call that makes the hold shows it: elsewhere it is empty.
    char token[40];
    // The order that a converted hold became, if the hold was read; else 0.
    uint64_t order_id;
    // The cart that the hold was created with; 0 for a lone hold.
    uint64_t cart_id;
    // The product's SKU, NUL-terminated; "" for none.
    char sku[520];
    // The customer that it was created for, if the hold was created or read,
    // NUL-terminated; else "".
    char customer[256];
    // What the shop keeps with it, if the hold was created or read: the text of a JSON
    // object as it came, NUL-terminated; else "".
    char metadata[4104];
} stockade_hold;

// What the erasure of a customer found.
typedef struct {
    // sizeof(stockade_erased), set by the caller.
    uint32_t struct_size;
    // Always 0.
    uint32_t reserved;
    // The customer's holds that are stored, ended ones included.
    uint64_t holds;
    // The customer's orders that are stored.
    uint64_t orders;
} stockade_erased;

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
    // The product's SKU, NUL-terminated; "" for none.
    char sku[520];
} stockade_short_line;

// One hold of a request that cannot be used.
typedef struct {
    // sizeof(stockade_unusable_hold), set by the caller.
    uint32_t struct_size;
    // The reason.
    stockade_code code;
    // The hold.
    uint64_t hold_id;
    // The order that used the hold, 0 for none.
    uint64_t order_id;
} stockade_unusable_hold;

// One event: a committed state transition. Its texts live as long as the list that it
// was read from.
typedef struct {
    // sizeof(stockade_event), set by the caller.
    uint32_t struct_size;
    // The kind of the event.
    stockade_event_kind kind;
    // The event's position, strictly increasing; pass the last one to read on.
    uint64_t cursor;
    // The product, 0 for none.
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
    // The SKU that the product has when the event is read, or NULL.
    const char *sku;
    // The customer of the hold or the order, or NULL. After an erasure it is the name
    // that replaced theirs.
    const char *customer;
    // The reason that was given for an adjustment of stock, a cancelled order or a
    // refund; or NULL.
    const char *reason;
    // The metadata of what the event is about, the text of a JSON object: after an
    // event about the product itself the product's, else the order's or the hold's
    // when the event is read; or NULL.
    const char *metadata;
    // Who asked for the transition: the name of stockade_engine_acting_as, over HTTP
    // that of the API key. NULL for what nobody asked for, such as an expiry.
    const char *actor;
    // The shop's own number of the order, or NULL.
    const char *reference;
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
    // 1 to take what is left, at least one unit, where fewer than quantity can
    // be held; 0 to take quantity or none. Limits apply to quantity.
    uint64_t at_most;
    // The SKU that names the product, instead of product_id; or NULL.
    const char *sku;
    // What the shop keeps with the hold: the text of a JSON object of at most 4096
    // bytes; or NULL.
    const char *metadata;
} stockade_hold_request;

// One line of a cart. Its layout is fixed: carts are arrays of it.
typedef struct {
    // The product.
    uint64_t product_id;
    // Units requested; lines of the same product are summed.
    uint32_t quantity;
    // 1 to take what is left, as in stockade_hold_request; else 0. Of a product
    // with other lines, theirs are the fewest units that are taken.
    uint32_t at_most;
    // The SKU that names the product, instead of product_id; or NULL.
    const char *sku;
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
    // As in stockade_hold_request, for each of the holds.
    const char *metadata;
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

// Which holds to list: those that meet all conditions that are set.
typedef struct {
    // sizeof(stockade_hold_query), set by the caller.
    uint32_t struct_size;
    // The most holds of a page, from 1 to 1000.
    uint32_t limit;
    // Only holds with ids above this one: what stockade_hold_page_next returned
    // for the page before, 0 for the first.
    uint64_t after;
    // Only holds of this product; 0 for any.
    uint64_t product_id;
    // Only holds of the product with this SKU, instead of product_id; or NULL.
    const char *sku;
    // Only holds of this customer; or NULL.
    const char *customer;
    // Only holds created at this time or after it, in microseconds since 1970 in
    // UTC; 0 for any.
    int64_t created_after_us;
    // Only holds created before this time; 0 for any.
    int64_t created_before_us;
    // Only holds with this stockade_hold_status, 0 for any. One that is due counts
    // as expired.
    uint32_t status;
    // Must be 0.
    uint32_t reserved;
} stockade_hold_query;

// Which orders to list: those that meet all conditions that are set.
typedef struct {
    // sizeof(stockade_order_query), set by the caller.
    uint32_t struct_size;
    // The most orders of a page, from 1 to 1000.
    uint32_t limit;
    // Only orders with ids above this one: what stockade_order_page_next returned
    // for the page before, 0 for the first.
    uint64_t after;
    // Only orders with a line of this product; 0 for any.
    uint64_t product_id;
    // Only orders with a line of the product with this SKU, instead of product_id;
    // or NULL.
    const char *sku;
    // Only orders of this customer; or NULL.
    const char *customer;
    // Only orders created at this time or after it, in microseconds since 1970 in
    // UTC; 0 for any.
    int64_t created_after_us;
    // Only orders created before this time; 0 for any.
    int64_t created_before_us;
    // Only orders with this stockade_order_status, 0 for any. One that is due counts
    // as cancelled.
    uint32_t status;
    // Only orders with this stockade_payment_disposition, 0 for any.
    uint32_t disposition;
    // Only the order with this number of the shop; or NULL.
    const char *reference;
    // Only the order to which this provider's name of a payment is tied, such as
    // "stripe/pi_3N"; or NULL.
    const char *payment_reference;
} stockade_order_query;

// An order: holds with one payment.
typedef struct {
    // sizeof(stockade_order), set by the caller.
    uint32_t struct_size;
    // Its status.
    stockade_order_status status;
    // Units of an order of one line, else 0.
    uint32_t quantity;
    // What became of money that did not simply pay it.
    stockade_payment_disposition payment_disposition;
    // The order's id.
    uint64_t id;
    // The hold of an order of one line, else 0.
    uint64_t hold_id;
    // The product of an order of one line, else 0.
    uint64_t product_id;
    // When it was created, in microseconds since 1970 in UTC.
    int64_t created_at_us;
    // When it last changed, in microseconds since 1970 in UTC.
    int64_t updated_at_us;
    // The token by which the payment provider names this order,
    // NUL-terminated. Only the call that makes the order shows it: elsewhere
    // it is empty.
    char payment_token[64];
    // The amount to pay in minor units of the currency, frozen when the order
    // was created.
    int64_t amount_minor;
    // How much of the amount was refunded, in minor units.
    int64_t refunded_minor;
    // When it is cancelled if it is not paid before, in microseconds since 1970
    // in UTC; 0 for never.
    int64_t pay_until_us;
    // The number of its lines.
    uint64_t line_count;
    // The currency, such as "EUR", NUL-terminated.
    char currency[8];
    // The amount as a decimal, such as "59.97", NUL-terminated.
    char amount[32];
    // The refunded amount as a decimal, NUL-terminated.
    char refunded_amount[32];
    // The shop's own number of the order, NUL-terminated; "" for none.
    char reference[520];
    // The customer of its holds, NUL-terminated; "" for none.
    char customer[256];
    // What the shop keeps with it: the text of a JSON object as it came,
    // NUL-terminated; "" for none.
    char metadata[4104];
    // Who made it: the name of stockade_engine_acting_as, over HTTP that of the API
    // key, NUL-terminated; "" for nobody that is named.
    char created_by[256];
} stockade_order;

// Takes one line of the log: its level, the part of the program that wrote it, such as
// "stockade::sweeper", and the message with its fields. The texts end with the call.
// Any thread of the library calls it, several at once, also in the middle of a
// transaction: it must be quick and must not call the library.
typedef void (*stockade_log_function)(stockade_log_level level,
                                      const char *target,
                                      const char *message,
                                      void *context);

// A hold that is to become a line of an order. Its layout is fixed: orders of
// several holds have arrays of it.
typedef struct {
    // The hold.
    uint64_t hold_id;
    // The product that the caller expects the hold to be for, or 0 for any.
    uint64_t product_id;
    // The hold's token, or NULL, which is rejected under the
    // "require_hold_token" setting.
    const char *token;
    // The SKU of the expected product, instead of product_id; or NULL.
    const char *sku;
} stockade_ordered_hold;

// A request to turn holds into one order, all or none: one hold by its own
// fields, or several by an array.
typedef struct {
    // sizeof(stockade_order_request), set by the caller.
    uint32_t struct_size;
    // 1 to use payment_ttl_us, 0 to use the "payment_ttl" setting.
    uint32_t has_payment_ttl;
    // The hold to use; 0 with an array.
    uint64_t hold_id;
    // The product that the caller expects the hold to be for; 0 with an array.
    uint64_t product_id;
    // The idempotency key, or NULL.
    const char *key;
    // The hold's token, or NULL, which is rejected under the
    // "require_hold_token" setting; NULL with an array.
    const char *token;
    // The holds, or NULL for the one above. They become the lines in this order.
    const stockade_ordered_hold *holds;
    // The number of holds, at most STOCKADE_ORDER_LINES_MAX.
    uint64_t hold_count;
    // The amount to pay, a decimal such as "44.90", with shipping and coupons for
    // example; NULL for the sum of the lines.
    const char *amount;
    // The currency that the products must have, such as "EUR"; NULL for any, the
    // same for all.
    const char *currency;
    // The shop's own number of the order, of 1 to 128 characters, or NULL. No two
    // orders have the same.
    const char *reference;
    // How long it may stay unpaid, in microseconds, up to the "payment_ttl_max"
    // setting; used only with has_payment_ttl.
    uint64_t payment_ttl_us;
    // A cart instead of holds, all of whose holds that were not released become
    // the lines; token is then the cart's. 0 for none.
    uint64_t cart_id;
    // The SKU of the product that the caller expects the hold to be for, instead of
    // product_id; or NULL. NULL with an array.
    const char *sku;
    // What the shop keeps with the order: the text of a JSON object of at most 4096
    // bytes; or NULL.
    const char *metadata;
} stockade_order_request;

// A request to let a pending order be paid until later.
typedef struct {
    // sizeof(stockade_order_extension), set by the caller.
    uint32_t struct_size;
    // 1 to use ttl_us, 0 to use the "payment_ttl" setting.
    uint32_t has_ttl;
    // The order.
    uint64_t order_id;
    // The time from now on, in microseconds; used only with has_ttl. The time is
    // never shortened, and never ends later than the "payment_ttl_max" setting
    // after the order was created.
    uint64_t ttl_us;
} stockade_order_extension;

// Units of one line of an order. Its layout is fixed: refunds have arrays of it.
typedef struct {
    // The line's number, from 1.
    uint32_t line;
    // Units, at least 1.
    uint32_t quantity;
} stockade_line_units;

// A request to refund a paid order: money, units, or both.
typedef struct {
    // sizeof(stockade_refund_request), set by the caller.
    uint32_t struct_size;
    // 1 to put the units back into stock; 0 to count them as returned.
    uint32_t restock;
    // 1 to settle money that must be refunded, and nothing else; else 0.
    uint32_t owed;
    // Must be 0.
    uint32_t reserved;
    // The order.
    uint64_t order_id;
    // The units to give back, each line once, and their price unless there is an
    // amount; or NULL. With neither: all that is left of both.
    const stockade_line_units *lines;
    // The number of lines, at most STOCKADE_ORDER_LINES_MAX; at least 1 with an
    // array.
    uint64_t line_count;
    // The money to give back, a decimal such as "5.00"; or NULL. Without lines it
    // moves no unit.
    const char *amount;
    // The reason, which the event keeps, at most 255 characters; or NULL.
    const char *reason;
    // The idempotency key, or NULL.
    const char *key;
} stockade_refund_request;

// A request to sell returned units of a refunded order again.
typedef struct {
    // sizeof(stockade_restock_request), set by the caller.
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // The order.
    uint64_t order_id;
    // The units, each line once; NULL for all that are returned.
    const stockade_line_units *lines;
    // The number of lines, at most STOCKADE_ORDER_LINES_MAX; at least 1 with an
    // array.
    uint64_t line_count;
    // The idempotency key, or NULL.
    const char *key;
} stockade_restock_request;

// One line of an order: a hold that became part of it.
typedef struct {
    // sizeof(stockade_order_line), set by the caller.
    uint32_t struct_size;
    // The number within the order, from 1.
    uint32_t line;
    // Units ordered.
    uint32_t quantity;
    // Units refunded, returned and restocked ones included.
    uint32_t refunded;
    // Units refunded and not for sale again.
    uint32_t returned;
    // Always 0.
    uint32_t reserved;
    // The hold it was made from.
    uint64_t hold_id;
    // The product.
    uint64_t product_id;
    // The price of one unit when the order was created, in minor units of the
    // order's currency.
    int64_t price_minor;
    // The price as a decimal, such as "19.99", NUL-terminated.
    char price[32];
    // The product's SKU, NUL-terminated; "" for none.
    char sku[520];
} stockade_order_line;

// A payment provider's event: the outcome of one order's payment. The order is
// named by its id, its payment token, or both; else by a reference: it is the one to
// which payment_reference is tied, otherwise the one with order_reference. An event
// whose order is not known by any of them waits for it.
typedef struct {
    // sizeof(stockade_payment_event), set by the caller.
    uint32_t struct_size;
    // 1 to use order_id, 0 to use payment_token or the references.
    uint32_t has_order_id;
    // The order's id.
    uint64_t order_id;
    // The order's payment token, or NULL.
    const char *payment_token;
    // The outcome, as providers name it, in any case: success, succeeded, paid,
    // completed or captured; failed, failure, declined or refused; cancelled,
    // canceled, expired or voided; pending, processing, authorized or
    // requires_action, which change nothing; disputed or chargeback, which an event
    // tells of.
    const char *status;
    // The event's idempotency key, or NULL to derive one from the order or the
    // references that name it, the token, the outcome and the amount. A key that is
    // reused with another of these is rejected.
    const char *key;
    // The amount paid, a decimal such as "59.97", or NULL. A success with another
    // amount than the order's does not pay it.
    const char *amount;
    // The currency of the amount, such as "EUR"; NULL for the order's.
    const char *currency;
    // The provider's own name of the payment, such as "stripe/pi_3N", or NULL. A
    // success of another payment than the one that paid the order must be
    // refunded. Without order_id and payment_token it names the order to which
    // stockade_engine_set_payment_reference tied it.
    const char *payment_reference;
    // The shop's own number of the order, of 1 to 128 characters, or NULL. It names
    // the order without order_id and payment_token, unless payment_reference does.
    const char *order_reference;
} stockade_payment_event;

// A product to create.
typedef struct {
    // sizeof(stockade_new_product), set by the caller.
    uint32_t struct_size;
    // 1 to use id, 0 for an id that no product has.
    uint32_t has_id;
    // The name, at most 255 characters.
    const char *name;
    // The unit price in minor units of the currency, or in hundredths without a
    // currency; at least 0. 0 where price is set.
    int64_t price_minor;
    // The units in stock.
    uint64_t stock;
    // The idempotency key, or NULL.
    const char *key;
    // The id, from 1 to 2^53 - 1; used only with has_id.
    uint64_t id;
    // The shop's own id of the product, of 1 to 128 characters, compared byte by
    // byte; or NULL. No two products have the same.
    const char *sku;
    // The unit price as a decimal, such as "19.99"; NULL for price_minor.
    const char *price;
    // The currency of the price, such as "EUR"; NULL for the "currency" setting.
    const char *currency;
    // What the shop keeps with it: the text of a JSON object of at most 4096
    // bytes; or NULL.
    const char *metadata;
    // When it begins to be sold, in microseconds since 1970 in UTC; 0 for at once.
    int64_t on_sale_from_us;
    // When it ends to be sold, in microseconds since 1970 in UTC; 0 for never.
    int64_t on_sale_until_us;
    // Units in stock that holds do not take.
    uint64_t safety_stock;
} stockade_new_product;

// A product and its stock accounting:
// received = in_stock + held + pending + sold + returned after every commit.
typedef struct {
    // sizeof(stockade_product), set by the caller.
    uint32_t struct_size;
    // 1 if it is archived, which means no longer sold; else 0.
    uint32_t archived;
    // The product's id.
    uint64_t id;
    // The unit price in minor units of the currency.
    int64_t price_minor;
    // Units that can be held: those in stock beyond the safety stock.
    uint64_t stock;
    // Units in active holds.
    uint64_t held;
    // Units in unpaid orders.
    uint64_t pending;
    // Units in paid orders, less those refunded.
    uint64_t sold;
    // Incremented by every committed change of the product or its stock.
    uint64_t version;
    // The name, at most 255 characters of UTF-8, NUL-terminated.
    char name[1024];
    // Units refunded and not for sale again.
    uint64_t returned;
    // Units in stock.
    uint64_t in_stock;
    // Units in stock that holds do not take.
    uint64_t safety_stock;
    // When it begins to be sold, in microseconds since 1970 in UTC; 0: it always
    // was.
    int64_t on_sale_from_us;
    // When it ends to be sold, in microseconds since 1970 in UTC; 0: never.
    int64_t on_sale_until_us;
    // The currency of the price, such as "EUR", NUL-terminated.
    char currency[8];
    // The unit price as a decimal, such as "19.99", NUL-terminated.
    char price[32];
    // The shop's own id of the product, NUL-terminated; "" for none.
    char sku[520];
    // What the shop keeps with it: the text of a JSON object as it came,
    // NUL-terminated; "" for none.
    char metadata[4104];
} stockade_product;

// A product to make, or to replace what it is. What is not set is reset to its
// default, but for the units in stock. A product that is archived stays so.
typedef struct {
    // sizeof(stockade_product_put), set by the caller.
    uint32_t struct_size;
    // 1 to use stock, 0 to leave the units in stock as they are, none of a new
    // product.
    uint32_t has_stock;
    // The product, which is made with this id if there is none.
    uint64_t product_id;
    // The SKU that names the product, instead of product_id; it is made with this
    // SKU if there is none. Or NULL.
    const char *product_sku;
    // The name, at most 255 characters.
    const char *name;
    // The unit price as a decimal, such as "19.99".
    const char *price;
    // The currency of the price; NULL for the "currency" setting.
    const char *currency;
    // The SKU; NULL for the one that names the product, else none.
    const char *sku;
    // As in stockade_new_product.
    const char *metadata;
    // As in stockade_new_product.
    int64_t on_sale_from_us;
    // As in stockade_new_product.
    int64_t on_sale_until_us;
    // Units in stock that holds do not take.
    uint64_t safety_stock;
    // The units in stock that it shall have, which an adjustment with the reason
    // "import" sees to; used only with has_stock.
    uint64_t stock;
    // The version that the caller expects (optimistic concurrency control):
    // another one, and no product, is rejected with version_mismatch. 0 for any.
    uint64_t version;
} stockade_product_put;

// A change of a product: of what is set. All else stays, and so does what was held
// or ordered before.
typedef struct {
    // sizeof(stockade_product_change), set by the caller.
    uint32_t struct_size;
    // 1 to use stock, else 0.
    uint32_t has_stock;
    // The product.
    uint64_t product_id;
    // The SKU that names the product, instead of product_id; or NULL.
    const char *product_sku;
    // The name, or NULL.
    const char *name;
    // The unit price as a decimal, or NULL.
    const char *price;
    // The currency of the price, or NULL. The price, changed or not, must fit its
    // decimals.
    const char *currency;
    // The SKU, "" to take it away; or NULL.
    const char *sku;
    // The text of a JSON object, "" to take it away; or NULL.
    const char *metadata;
    // 1 to use on_sale_from_us, else 0.
    uint32_t has_on_sale_from;
    // 1 to use on_sale_until_us, else 0.
    uint32_t has_on_sale_until;
    // When it begins to be sold, in microseconds since 1970 in UTC; 0 for at once.
    int64_t on_sale_from_us;
    // When it ends to be sold, in microseconds since 1970 in UTC; 0 for never.
    int64_t on_sale_until_us;
    // 1 to use safety_stock, else 0.
    uint32_t has_safety_stock;
    // 1 to use archived, else 0.
    uint32_t has_archived;
    // Units in stock that holds do not take.
    uint64_t safety_stock;
    // 1 to archive the product, 0 to sell it again.
    uint64_t archived;
    // The units in stock that it shall have, which an adjustment with the reason
    // "import" sees to.
    uint64_t stock;
    // The version that the caller expects, as in stockade_product_put.
    uint64_t version;
} stockade_product_change;

// A stock adjustment by an operator: goods received or written off, or counted.
typedef struct {
    // sizeof(stockade_stock_adjustment), set by the caller.
    uint32_t struct_size;
    // 1 to use to, 0 to use delta.
    uint32_t has_to;
    // The product.
    uint64_t product_id;
    // Units received, or written off if negative; not 0, but with has_to.
    int64_t delta;
    // The reason, for the log and the event; at most 255 characters.
    const char *reason;
    // The idempotency key, or NULL.
    const char *key;
    // The version that the caller expects (optimistic concurrency control):
    // another one is rejected with version_mismatch. 0 for any.
    uint64_t version;
    // The SKU that names the product, instead of product_id; or NULL.
    const char *sku;
    // The units in stock that the product shall have, as a count found them; used
    // only with has_to.
    uint64_t to;
} stockade_stock_adjustment;

// A payment event that came before its order and waits for it.
typedef struct {
    // sizeof(stockade_waiting_payment), set by the caller.
    uint32_t struct_size;
    // The outcome.
    stockade_outcome outcome;
    // The order that it names, by its id or its payment token; 0 for one that names it
    // by a reference alone.
    uint64_t order_id;
    // 1 if it named the order by its payment token, else 0.
    uint64_t by_token;
    // When it arrived, in microseconds since 1970 in UTC.
    int64_t received_at_us;
    // An order that is created at this time or later is not affected by it, in
    // microseconds since 1970 in UTC.
    int64_t ends_at_us;
    // The event's idempotency key, NUL-terminated. That of an event without one is
    // derived, and begins with the control character U+0001.
    char key[264];
    // The amount paid as a decimal, NUL-terminated; "" if the event did not say.
    char amount[32];
    // The currency of the amount, NUL-terminated; "" if the event did not say.
    char currency[8];
    // The provider's own name of the payment, NUL-terminated; "" if the event did
    // not say.
    char payment_reference[256];
    // The shop's own number of the order, NUL-terminated; "" if the event did not say.
    char order_reference[520];
} stockade_waiting_payment;

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

// Reads the id and the token of a cart.
//
// Errors: invalid_argument.
stockade_code stockade_holds_cart(const stockade_holds *holds,
                                  stockade_cart *cart,
                                  stockade_error **error);

// Reads the current state of a cart's holds, by ascending product id.
//
// Errors: not_found, unavailable, misuse.
stockade_code stockade_engine_cart(const stockade_engine *engine,
                                   uint64_t id,
                                   stockade_holds **holds,
                                   stockade_error **error);

// Releases the active holds of a cart and returns all. The status of each says
// whether it was released, expired or became an order.
//
// Errors: invalid_argument for a malformed token, not_found, unauthorized for
// an invalid or missing token, contention, unavailable, misuse.
stockade_code stockade_engine_release_cart(const stockade_engine *engine,
                                           const stockade_release_cart_request *request,
                                           stockade_holds **holds,
                                           stockade_error **error);

// Extends all holds of a cart, or none, to one common end, and returns them.
//
// Errors: invalid_argument, not_found, unauthorized for an invalid or missing
// token, hold_expired (also if one was released), hold_already_used,
// contention, unavailable, misuse.
stockade_code stockade_engine_extend_cart(const stockade_engine *engine,
                                          const stockade_extend_cart_request *request,
                                          stockade_holds **holds,
                                          stockade_error **error);

// Gives an active hold another quantity and returns it. More units are taken
// from stock, or nothing changes; fewer return the others at once. Its end and
// token stay. `replayed` may be NULL.
//
// Errors: invalid_argument, quantity_limit, not_found, unauthorized for an
// invalid or missing token, not_on_sale (for more units), insufficient_stock with
// the units beyond those held, hold_expired (also if it was released), hold_already_used,
// idempotency_mismatch, contention, unavailable, misuse.
stockade_code stockade_engine_change_quantity(const stockade_engine *engine,
                                              const stockade_quantity_request *request,
                                              stockade_hold *hold,
                                              bool *replayed,
                                              stockade_error **error);

// Returns the stable name of a code, such as "not_found"; "ok" for 0 and NULL
// for an unknown number. Static.
const char *stockade_code_name(uint32_t code);

// Replaces a customer's name wherever the store keeps it: in holds, orders, events
// and the answers kept under idempotency keys. A later request by this name is of a
// new customer. One that is not known is no error.
//
// Errors: invalid_argument, unavailable, misuse.
stockade_code stockade_engine_erase_customer(const stockade_engine *engine,
                                             const char *customer,
                                             stockade_erased *erased,
                                             stockade_error **error);

// Opens an engine on a store with default settings, and migrates the store.
// `store` is "sqlite:FILE", "sqlite::memory:" or "mysql://USER@HOST/DATABASE";
// or the URL of a running engine, which `stockade serve` has open:
// "unix:///SOCKET" or "http://:KEY@HOST:PORT". That engine then executes the
// calls with its own settings. An engine has its own threads.
//
// After a fork the child opens its own engine. Opening always succeeds if the
// fork happened before an engine was opened on SQLite, or if the child was
// started by exec. In the child of a process that had opened one, SQLite's
// mutexes are copies that may stay locked. Opening an engine on SQLite never
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

// Returns another handle of the same engine for one of its users, such as a clerk
// or an API key: the events of what is asked for through it have `name` as their
// actor, and the orders made through it have it as created_by.
//
// The handle is freed with stockade_engine_free, before or after the one that it
// came from; that leaves the engine open. The engine is closed when the handle
// that opened it is freed, or any of its handles is closed with
// stockade_engine_close; calls through the others then return misuse. A shared
// engine stays open.
//
// Errors: invalid_argument for a name that is empty, longer than 255 bytes, or
// has control characters; misuse after a fork.
stockade_code stockade_engine_acting_as(const stockade_engine *engine,
                                        const char *name,
                                        stockade_engine **acting,
                                        stockade_error **error);

// Drains queued requests, rejects new ones, then closes the store, for all
// handles of the engine. A shared engine stays open. Closing again does nothing.
// The handle must still be freed.
//
// Errors: misuse after a fork.
stockade_code stockade_engine_close(const stockade_engine *engine, stockade_error **error);

// Frees a handle. NULL is allowed. The handle that opened an engine of its own
// closes it, if it is open; one of stockade_engine_open_shared or
// stockade_engine_acting_as leaves it as it is. In the child of a fork, freeing
// the parent's engine does not affect the parent; the child leaks its memory.
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

// Moves the clock of a test's engine forward by `by_us` microseconds. What is due then
// is in stock again when the call returns, with its events, as after a sweep. The
// engine has the setting "clock" with the value "manual", which the store
// "sqlite::memory:" alone accepts: its time stands still between two such calls.
// `now_us` gets the new time in microseconds since 1970 in UTC; it may be NULL.
//
// Errors: misuse for an engine with another clock or of a running engine;
// invalid_argument for more than ten years, which move nothing; contention or
// unavailable if the clock was moved and something due was not returned yet.
stockade_code stockade_engine_advance_clock(const stockade_engine *engine,
                                            uint64_t by_us,
                                            int64_t *now_us,
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

// Returns the number of holds that cannot be used, of a request that names
// several; else 0.
size_t stockade_error_hold_count(const stockade_error *error);

// Reads a hold that cannot be used, counted from 0, in the request's order.
// Returns false if the index is out of range, or if `hold` is NULL or has no
// size.
bool stockade_error_hold(const stockade_error *error, size_t index, stockade_unusable_hold *hold);

// Returns true if the error names an order, as hold_already_used does, and
// sets `order_id`, which may be NULL.
bool stockade_error_order_id(const stockade_error *error, uint64_t *order_id);

// Returns true if the error names a product, as already_exists and not_on_sale may,
// and sets `product_id`, which may be NULL.
bool stockade_error_product_id(const stockade_error *error, uint64_t *product_id);

// Returns true if a product is not for sale, as not_on_sale says, and sets `why` and
// `moment_us`, which may be NULL: the moment of `why` in microseconds since 1970 in
// UTC, or 0.
bool stockade_error_off_sale(const stockade_error *error,
                             stockade_off_sale *why,
                             int64_t *moment_us);

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
// Errors: invalid_argument, quantity_limit, not_found, not_on_sale with the reason,
// insufficient_stock, idempotency_mismatch, contention, unavailable, misuse.
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

// Reads a page of holds as they stand now, by ascending id. A page may have fewer
// than the limit, or none, and not be the last: stockade_hold_page_next says so.
//
// Errors: invalid_argument, unavailable, misuse.
stockade_code stockade_engine_holds(const stockade_engine *engine,
                                    const stockade_hold_query *query,
                                    stockade_hold_page **page,
                                    stockade_error **error);

// Returns the number of holds on the page; 0 for NULL.
size_t stockade_hold_page_count(const stockade_hold_page *page);

// Reads a hold of the page, counted from 0.
//
// Errors: invalid_argument if the index is out of range.
stockade_code stockade_hold_page_get(const stockade_hold_page *page,
                                     size_t index,
                                     stockade_hold *hold,
                                     stockade_error **error);

// Returns `after` for the next page; 0 on the last page and for NULL.
uint64_t stockade_hold_page_next(const stockade_hold_page *page);

// Frees a page. NULL is allowed.
void stockade_hold_page_free(stockade_hold_page *page);

// Reads a page of orders as they stand now, by ascending id. A page may have fewer
// than the limit, or none, and not be the last: stockade_order_page_next says so.
//
// Errors: invalid_argument, unavailable, misuse.
stockade_code stockade_engine_orders(const stockade_engine *engine,
                                     const stockade_order_query *query,
                                     stockade_order_page **page,
                                     stockade_error **error);

// Returns the number of orders on the page; 0 for NULL.
size_t stockade_order_page_count(const stockade_order_page *page);

// Reads an order of the page, counted from 0. `lines` may be NULL; it gets the
// order's lines, which the caller frees.
//
// Errors: invalid_argument if the index is out of range.
stockade_code stockade_order_page_get(const stockade_order_page *page,
                                      size_t index,
                                      stockade_order *order,
                                      stockade_order_lines **lines,
                                      stockade_error **error);

// Returns `after` for the next page; 0 on the last page and for NULL.
uint64_t stockade_order_page_next(const stockade_order_page *page);

// Frees a page. NULL is allowed.
void stockade_order_page_free(stockade_order_page *page);

// Hands the log of all engines of this process, from this level up, to a function, with
// the context that is given here. Without it the library logs nothing. It can be set
// once in a process, before or after engines are opened, and stays; the child of a fork
// has it, too. function and context must be usable until the process ends.
//
// Errors: invalid_argument for another level, misuse if it is set.
stockade_code stockade_set_log(stockade_log_function function,
                               uint32_t level,
                               void *context,
                               stockade_error **error);

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

// Parses a price into hundredths, the minor units of most currencies, from a decimal
// text with at most two decimal places: "19.99" is 1999, exactly. A price in a currency
// with other decimals is passed as text.
//
// Errors: invalid_argument for any other text.
stockade_code stockade_price_from_text(const char *text, int64_t *minor, stockade_error **error);

// Parses a time into microseconds since 1970 in UTC, from a text of RFC 3339 such as
// "2026-11-27T08:00:00Z" or "2026-11-27T09:00:00+01:00".
//
// Errors: invalid_argument for any other text, and for one before 1970.
stockade_code stockade_time_from_text(const char *text, int64_t *micros, stockade_error **error);

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

// Turns active holds into one order, all or none. Payment events that arrived
// before it are applied immediately, so the order may already be paid or
// cancelled. `lines` may be NULL; it gets the order's lines, which the caller
// frees. `replayed` may be NULL; it tells whether the response replays an
// earlier one with the same idempotency key.
//
// Errors: invalid_argument (also for products of several currencies),
// not_found, unauthorized for an invalid or missing token, product_mismatch,
// hold_expired (also if it was released), hold_already_used with the order that
// used it, already_exists with the order that has the reference,
// idempotency_mismatch, contention, unavailable, misuse. Of several holds the
// first that cannot be used decides; the error lists all.
stockade_code stockade_engine_create_order(const stockade_engine *engine,
                                           const stockade_order_request *request,
                                           stockade_order *order,
                                           stockade_order_lines **lines,
                                           bool *replayed,
                                           stockade_error **error);

// Lets a pending order be paid until later, and returns it. `lines` may be NULL.
//
// Errors: invalid_argument, not_found, already_paid, order_cancelled,
// contention, unavailable, misuse.
stockade_code stockade_engine_extend_order(const stockade_engine *engine,
                                           const stockade_order_extension *request,
                                           stockade_order *order,
                                           stockade_order_lines **lines,
                                           stockade_error **error);

// Cancels a pending order for good, returns its units to stock, and returns it.
// Money that comes later must be refunded. An order that is cancelled already is
// not changed. `reason`, which the event keeps, and `lines` may be NULL.
//
// Errors: invalid_argument, not_found, already_paid, contention, unavailable,
// misuse.
stockade_code stockade_engine_cancel_order(const stockade_engine *engine,
                                           uint64_t id,
                                           const char *reason,
                                           stockade_order *order,
                                           stockade_order_lines **lines,
                                           stockade_error **error);

// Refunds a paid order, and returns it: money, units, or both; or settles money
// that must be refunded. `lines` and `replayed` may be NULL.
//
// Errors: invalid_argument, not_found, not_paid, refund_too_large,
// idempotency_mismatch, contention, unavailable, misuse.
stockade_code stockade_engine_refund_order(const stockade_engine *engine,
                                           const stockade_refund_request *request,
                                           stockade_order *order,
                                           stockade_order_lines **lines,
                                           bool *replayed,
                                           stockade_error **error);

// Sells returned units of a refunded order again, and returns the order. `lines`
// and `replayed` may be NULL.
//
// Errors: invalid_argument, not_found, nothing_returned, idempotency_mismatch,
// contention, unavailable, misuse.
stockade_code stockade_engine_restock_order(const stockade_engine *engine,
                                            const stockade_restock_request *request,
                                            stockade_order *order,
                                            stockade_order_lines **lines,
                                            bool *replayed,
                                            stockade_error **error);

// Ties a provider's own name of a payment, such as "pi_3N", to an order, and
// returns the order. `lines` may be NULL.
//
// Errors: invalid_argument, not_found, already_exists with the order that has the
// name, contention, unavailable, misuse.
stockade_code stockade_engine_set_payment_reference(const stockade_engine *engine,
                                                    uint64_t id,
                                                    const char *provider,
                                                    const char *reference,
                                                    stockade_order *order,
                                                    stockade_order_lines **lines,
                                                    stockade_error **error);

// Reads the current state of an order. `lines` may be NULL; it gets the order's
// lines, which the caller frees.
//
// Errors: not_found, unavailable, misuse.
stockade_code stockade_engine_order(const stockade_engine *engine,
                                    uint64_t id,
                                    stockade_order *order,
                                    stockade_order_lines **lines,
                                    stockade_error **error);

// Finds the order with the shop's own number. `lines` may be NULL.
//
// Errors: invalid_argument, not_found, unavailable, misuse.
stockade_code stockade_engine_order_by_reference(const stockade_engine *engine,
                                                 const char *reference,
                                                 stockade_order *order,
                                                 stockade_order_lines **lines,
                                                 stockade_error **error);

// Finds the order to which a provider's name of a payment is tied. `lines` may
// be NULL.
//
// Errors: invalid_argument, not_found, unavailable, misuse.
stockade_code stockade_engine_order_by_payment(const stockade_engine *engine,
                                               const char *provider,
                                               const char *reference,
                                               stockade_order *order,
                                               stockade_order_lines **lines,
                                               stockade_error **error);

// Returns the number of lines; 0 for NULL.
size_t stockade_order_lines_count(const stockade_order_lines *lines);

// Reads a line of the list, counted from 0.
//
// Errors: invalid_argument if the index is out of range.
stockade_code stockade_order_lines_get(const stockade_order_lines *lines,
                                       size_t index,
                                       stockade_order_line *line,
                                       stockade_error **error);

// Frees the list. NULL is allowed.
void stockade_order_lines_free(stockade_order_lines *lines);

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

// Creates a product and returns it. A repeated request with the same idempotency
// key returns the product as first created. `replayed` may be NULL.
//
// Errors: invalid_argument, already_exists with the product that has the id or the
// SKU, idempotency_mismatch, contention, unavailable, misuse.
stockade_code stockade_engine_create_product(const stockade_engine *engine,
                                             const stockade_new_product *request,
                                             stockade_product *product,
                                             bool *replayed,
                                             stockade_error **error);

// Makes a product, or replaces what it is, and returns it. `created` may be NULL; it
// tells whether the product was made.
//
// Errors: invalid_argument, already_exists with the product that has the SKU,
// version_mismatch, contention, unavailable, misuse.
stockade_code stockade_engine_put_product(const stockade_engine *engine,
                                          const stockade_product_put *request,
                                          stockade_product *product,
                                          bool *created,
                                          stockade_error **error);

// Changes what is set of a product, archives it or sells it again, and returns it.
//
// Errors: invalid_argument, not_found, already_exists with the product that has the
// SKU, version_mismatch, contention, unavailable, misuse.
stockade_code stockade_engine_change_product(const stockade_engine *engine,
                                             const stockade_product_change *request,
                                             stockade_product *product,
                                             stockade_error **error);

// Adjusts a product's stock and returns the product afterwards. `replayed` may be
// NULL.
//
// Errors: invalid_argument, not_found, insufficient_stock if stock would
// become negative, version_mismatch, idempotency_mismatch, contention,
// unavailable, misuse.
stockade_code stockade_engine_adjust_stock(const stockade_engine *engine,
                                           const stockade_stock_adjustment *request,
                                           stockade_product *product,
                                           bool *replayed,
                                           stockade_error **error);

// Makes or replaces many products by one call, as an import does: each as
// stockade_engine_put_product does. They are written many at a time, in no order:
// one that needs another's SKU goes into a later call. `results` gets one result for
// each request, in the same order; a request that fails, or that cannot be read,
// costs only itself.
//
// `requests` is an array of `count` structs, at most STOCKADE_PRODUCT_BATCH_MAX, all
// with the same struct_size; may be NULL if `count` is 0.
//
// Errors of the call as a whole: invalid_argument for another count, an array
// that is NULL or not aligned, or structs without their size or of different
// sizes; misuse; unavailable, after which each request took effect in whole or
// not at all.
stockade_code stockade_engine_put_products(const stockade_engine *engine,
                                           const stockade_product_put *requests,
                                           uint64_t count,
                                           stockade_put_results **results,
                                           stockade_error **error);

// Returns the number of results; 0 for NULL.
size_t stockade_put_results_count(const stockade_put_results *results);

// Reads a result of the list, counted from 0: writes the product, or returns the
// error of that request as stockade_engine_put_product would have. `created` may be
// NULL; it is written with the product.
//
// Errors: those of stockade_engine_put_product; invalid_argument also if the index is
// out of range.
stockade_code stockade_put_results_get(const stockade_put_results *results,
                                       size_t index,
                                       stockade_product *product,
                                       bool *created,
                                       stockade_error **error);

// Frees the list. NULL is allowed.
void stockade_put_results_free(stockade_put_results *results);

// Reads a product, from the cache if the entry is fresh.
//
// Errors: not_found, unavailable, misuse.
stockade_code stockade_engine_product(const stockade_engine *engine,
                                      uint64_t id,
                                      stockade_product *product,
                                      stockade_error **error);

// Reads the product with this SKU, from the cache if the entry is fresh.
//
// Errors: invalid_argument for a SKU that no product can have, not_found,
// unavailable, misuse.
stockade_code stockade_engine_product_by_sku(const stockade_engine *engine,
                                             const char *sku,
                                             stockade_product *product,
                                             stockade_error **error);

// Reads up to `limit` (1 to 1000) products with ids above `after`, 0 for the
// first page. Archived ones are among them.
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

// Frees a text of this library. NULL is allowed.
void stockade_string_free(char *text);

// Returns the library's ABI version. A program should check once that it
// equals STOCKADE_ABI_VERSION of the header it was compiled with. It is
// incremented by incompatible changes.
uint32_t stockade_abi_version(void);

// Returns the version of Stockade, such as "0.1.0". Static.
const char *stockade_version(void);

// Reads up to `limit` (1 to 1000) payment events that wait for their order, the
// oldest first. `after` is what stockade_waiting_payments_next returned for the page
// before; NULL for the first.
//
// Errors: invalid_argument for another limit or another `after`, unavailable, misuse.
stockade_code stockade_engine_waiting_payments(const stockade_engine *engine,
                                               const char *after,
                                               uint32_t limit,
                                               stockade_waiting_payments **payments,
                                               stockade_error **error);

// Returns the number of events on the page; 0 for NULL.
size_t stockade_waiting_payments_count(const stockade_waiting_payments *payments);

// Reads an event of the page, counted from 0.
//
// Errors: invalid_argument if the index is out of range.
stockade_code stockade_waiting_payments_get(const stockade_waiting_payments *payments,
                                            size_t index,
                                            stockade_waiting_payment *payment,
                                            stockade_error **error);

// Returns `after` for the next page, which lives as long as this one; NULL on the
// last page and for NULL.
const char *stockade_waiting_payments_next(const stockade_waiting_payments *payments);

// Frees a page. NULL is allowed.
void stockade_waiting_payments_free(stockade_waiting_payments *payments);

// Takes the payment event with this idempotency key from those that wait for their
// order, and returns it: it stays recorded, and is never applied.
//
// Errors: not_found if no event with this key waits, unavailable, misuse.
stockade_code stockade_engine_remove_waiting_payment(const stockade_engine *engine,
                                                     const char *key,
                                                     stockade_waiting_payment *payment,
                                                     stockade_error **error);

// Returns the name of an outcome, such as "success"; NULL for an unknown number.
// Static.
const char *stockade_outcome_name(uint32_t outcome);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* STOCKADE_H */

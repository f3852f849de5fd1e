/* The runtime of the generated test of the shared cases: a call fills an
 * answer, an expectation compares one field of it. */
#ifndef STEPS_H
#define STEPS_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <stockade.h>

enum { HOLDS_MAX = 8, LINES_MAX = 4, RESULTS_MAX = 16, TYPES_MAX = 512, SOON_SECONDS = 10 };
enum { ORDERS_MAX = 4, PAYMENTS_MAX = 4 };

/* One result of a batch: a hold, or an error. */
struct result {
    stockade_code code;
    stockade_error *error;
    bool replayed;
    stockade_hold hold;
};

/* One order of a list. */
struct listed_order {
    stockade_order order;
    stockade_order_line lines[LINES_MAX];
    size_t line_count;
};

/* The result of a call: the field of its kind, or an error. Long lists are on the
 * heap, as a case has many answers. */
struct answer {
    stockade_code code;
    stockade_error *error;
    bool replayed;
    bool created;
    stockade_product product;
    stockade_hold hold;
    stockade_hold *holds;
    size_t hold_count;
    stockade_cart cart;
    struct result *results;
    size_t result_count;
    stockade_order order;
    stockade_order_line lines[LINES_MAX];
    size_t line_count;
    struct listed_order *orders;
    size_t order_count;
    stockade_waiting_payment waiting;
    stockade_waiting_payment payments[PAYMENTS_MAX];
    size_t payment_count;
    stockade_erased erased;
    stockade_payment_status payment;
    stockade_sweep_report sweep;
    char types[TYPES_MAX];
};

/* The current position, for messages. */
static const char *current_case;
static int current_step;
static bool step_is_met;
static char step_trouble[2048];

static inline void *zeroed(size_t count, size_t size)
{
    void *list = calloc(count, size);
    if (list == NULL)
        abort();
    return list;
}

static inline struct answer no_answer(void)
{
    struct answer answer;
    memset(&answer, 0, sizeof answer);
    answer.product.struct_size = sizeof answer.product;
    answer.hold.struct_size = sizeof answer.hold;
    answer.cart.struct_size = sizeof answer.cart;
    answer.order.struct_size = sizeof answer.order;
    answer.sweep.struct_size = sizeof answer.sweep;
    answer.waiting.struct_size = sizeof answer.waiting;
    answer.erased.struct_size = sizeof answer.erased;
    answer.holds = zeroed(HOLDS_MAX, sizeof *answer.holds);
    answer.results = zeroed(RESULTS_MAX, sizeof *answer.results);
    answer.orders = zeroed(ORDERS_MAX, sizeof *answer.orders);
    for (int i = 0; i < PAYMENTS_MAX; i++)
        answer.payments[i].struct_size = sizeof answer.payments[i];
    for (int i = 0; i < ORDERS_MAX; i++) {
        answer.orders[i].order.struct_size = sizeof answer.orders[i].order;
        for (int j = 0; j < LINES_MAX; j++)
            answer.orders[i].lines[j].struct_size = sizeof answer.orders[i].lines[j];
    }
    for (int i = 0; i < LINES_MAX; i++)
        answer.lines[i].struct_size = sizeof answer.lines[i];
    for (int i = 0; i < HOLDS_MAX; i++)
        answer.holds[i].struct_size = sizeof answer.holds[i];
    for (int i = 0; i < RESULTS_MAX; i++)
        answer.results[i].hold.struct_size = sizeof answer.results[i].hold;
    return answer;
}

/* Frees the errors and the lists of an answer. */
static inline void free_answer(struct answer *answer)
{
    stockade_error_free(answer->error);
    for (int i = 0; i < RESULTS_MAX; i++)
        stockade_error_free(answer->results[i].error);
    free(answer->holds);
    free(answer->results);
    free(answer->orders);
}

static inline void fail(const char *why)
{
    fprintf(stderr, "%s, step %d: %s\n", current_case, current_step, why);
    exit(1);
}

/* Starts one attempt of a step and frees the results of an earlier one. */
static inline void begin(struct answer *answer)
{
    free_answer(answer);
    *answer = no_answer();
    step_is_met = true;
}

static inline void missed(const char *field, const char *expected, const char *got)
{
    step_is_met = false;
    snprintf(step_trouble, sizeof step_trouble, "%s: expected %.900s, got %.900s", field,
             expected, got);
}

static inline void expect_code(const struct answer *answer, stockade_code code)
{
    if (answer->code != code || stockade_error_code(answer->error) != code)
        missed("code", stockade_code_name(code), stockade_code_name(answer->code));
}

static inline void expect_number(const char *field, int64_t expected, int64_t got)
{
    char texts[2][32];
    snprintf(texts[0], sizeof texts[0], "%" PRId64, expected);
    snprintf(texts[1], sizeof texts[1], "%" PRId64, got);
    if (expected != got)
        missed(field, texts[0], texts[1]);
}

static inline void expect_later(const char *field, int64_t than, int64_t got)
{
    if (got <= than)
        missed(field, "a later moment", "one not later");
}

static inline void expect_text(const char *field, const char *expected, const char *got)
{
    if (got == NULL || strcmp(expected, got) != 0)
        missed(field, expected, got == NULL ? "nothing" : got);
}

/* A step that may take time is retried until it matches. */
static inline bool again(bool until, time_t began)
{
    const struct timespec pause = {0, 5 * 1000 * 1000};
    if (step_is_met)
        return false;
    if (!until || time(NULL) - began > SOON_SECONDS)
        fail(step_trouble);
    nanosleep(&pause, NULL);
    return true;
}

static inline uint64_t error_available(const stockade_error *error)
{
    uint64_t available = UINT64_MAX;
    stockade_error_available(error, &available);
    return available;
}

static inline uint64_t error_order_id(const stockade_error *error)
{
    uint64_t order_id = UINT64_MAX;
    stockade_error_order_id(error, &order_id);
    return order_id;
}

static inline uint64_t error_product_id(const stockade_error *error)
{
    uint64_t product_id = UINT64_MAX;
    stockade_error_product_id(error, &product_id);
    return product_id;
}

static inline int64_t error_moment(const stockade_error *error)
{
    stockade_off_sale why = STOCKADE_OFF_SALE_UNKNOWN;
    int64_t moment_us = -1;
    if (stockade_error_off_sale(error, &why, &moment_us) &&
        (why == STOCKADE_OFF_SALE_ARCHIVED) != (moment_us == 0))
        fail("a moment does not fit its reason");
    return moment_us;
}

static inline stockade_short_line error_short(const stockade_error *error, size_t index)
{
    stockade_short_line line = STOCKADE_INIT(stockade_short_line);
    stockade_error_short_line(error, index, &line);
    return line;
}

static inline stockade_unusable_hold error_hold(const stockade_error *error, size_t index)
{
    stockade_unusable_hold hold = STOCKADE_INIT(stockade_unusable_hold);
    stockade_error_hold(error, index, &hold);
    return hold;
}

/* The code of a result of a batch, empty for a hold. */
static inline const char *result_code(const struct result *result)
{
    return result->code == STOCKADE_CODE_OK ? "" : stockade_code_name(result->code);
}

static inline bool result_replayed(const struct result *result)
{
    return result->replayed || stockade_error_replayed(result->error);
}

/* The library parses numbers given as text; a parse error is the
 * step's result. */
static inline bool read_id(struct answer *answer, const char *text, uint64_t *id)
{
    answer->code = stockade_id_from_text(text, id, &answer->error);
    return answer->code == STOCKADE_CODE_OK;
}

static inline bool read_quantity(struct answer *answer, const char *text, uint32_t *quantity)
{
    answer->code = stockade_quantity_from_text(text, quantity, &answer->error);
    return answer->code == STOCKADE_CODE_OK;
}

/* Reads a cart into the answer, and frees it. */
static inline void read_cart(struct answer *answer, stockade_holds *holds)
{
    answer->hold_count = stockade_holds_count(holds);
    for (size_t i = 0; i < answer->hold_count && i < HOLDS_MAX; i++)
        stockade_holds_get(holds, i, &answer->holds[i], NULL);
    if (holds != NULL && stockade_holds_cart(holds, &answer->cart, NULL) != STOCKADE_CODE_OK)
        fail("a cart could not be read");
    stockade_holds_free(holds);
}

static inline void call_holds(stockade_engine *engine, struct answer *answer,
                              const stockade_cart_request *request)
{
    stockade_holds *holds = NULL;
    answer->code = stockade_engine_create_holds(engine, request, &holds, &answer->replayed,
                                             &answer->error);
    read_cart(answer, holds);
}

static inline void call_cart(stockade_engine *engine, struct answer *answer, uint64_t id)
{
    stockade_holds *holds = NULL;
    answer->code = stockade_engine_cart(engine, id, &holds, &answer->error);
    read_cart(answer, holds);
}

static inline void call_release_cart(stockade_engine *engine, struct answer *answer,
                                     const stockade_release_cart_request *request)
{
    stockade_holds *holds = NULL;
    answer->code = stockade_engine_release_cart(engine, request, &holds, &answer->error);
    read_cart(answer, holds);
}

static inline void call_extend_cart(stockade_engine *engine, struct answer *answer,
                                    const stockade_extend_cart_request *request)
{
    stockade_holds *holds = NULL;
    answer->code = stockade_engine_extend_cart(engine, request, &holds, &answer->error);
    read_cart(answer, holds);
}

/* Keeps the lines of an order beside it, and frees them. */
static inline size_t read_lines(stockade_order_line *kept, const stockade_order *order,
                                stockade_order_lines *lines)
{
    size_t count = stockade_order_lines_count(lines);
    if (count != order->line_count)
        fail("an order has another number of lines");
    for (size_t i = 0; i < count && i < LINES_MAX; i++)
        stockade_order_lines_get(lines, i, &kept[i], NULL);
    stockade_order_lines_free(lines);
    return count;
}

static inline void keep_lines(struct answer *answer, stockade_order_lines *lines)
{
    answer->line_count = read_lines(answer->lines, &answer->order, lines);
}

/* Reads all pages of holds into the answer. */
static inline void call_list_holds(stockade_engine *engine, struct answer *answer,
                                   stockade_hold_query *query)
{
    do {
        stockade_hold_page *page = NULL;
        answer->code = stockade_engine_holds(engine, query, &page, &answer->error);
        for (size_t i = 0; i < stockade_hold_page_count(page); i++, answer->hold_count++) {
            if (answer->hold_count >= HOLDS_MAX)
                fail("a list has too many holds");
            stockade_hold *hold = &answer->holds[answer->hold_count];
            if (stockade_hold_page_get(page, i, hold, NULL) != STOCKADE_CODE_OK ||
                hold->token[0] != 0)
                fail("a listed hold could not be read, or shows its token");
        }
        query->after = stockade_hold_page_next(page);
        stockade_hold_page_free(page);
    } while (query->after != 0);
}

/* Reads all pages of orders into the answer. */
static inline void call_list_orders(stockade_engine *engine, struct answer *answer,
                                    stockade_order_query *query)
{
    do {
        stockade_order_page *page = NULL;
        answer->code = stockade_engine_orders(engine, query, &page, &answer->error);
        for (size_t i = 0; i < stockade_order_page_count(page); i++, answer->order_count++) {
            if (answer->order_count >= ORDERS_MAX)
                fail("a list has too many orders");
            struct listed_order *listed = &answer->orders[answer->order_count];
            stockade_order_lines *lines = NULL;
            if (stockade_order_page_get(page, i, &listed->order, &lines, NULL) != STOCKADE_CODE_OK ||
                listed->order.payment_token[0] != 0)
                fail("a listed order could not be read, or shows its token");
            listed->line_count = read_lines(listed->lines, &listed->order, lines);
        }
        query->after = stockade_order_page_next(page);
        stockade_order_page_free(page);
    } while (query->after != 0);
}

/* Reads all waiting payments of one order into the answer. */
static inline void call_waiting_payments(stockade_engine *engine, struct answer *answer,
                                         uint64_t order_id)
{
    stockade_waiting_payments *page = NULL;
    bool is_last = false;
    while (!is_last) {
        stockade_waiting_payments *next = NULL;
        answer->code = stockade_engine_waiting_payments(
            engine, stockade_waiting_payments_next(page), 1, &next, &answer->error);
        for (size_t i = 0; i < stockade_waiting_payments_count(next); i++) {
            stockade_waiting_payment payment = STOCKADE_INIT(stockade_waiting_payment);
            stockade_waiting_payments_get(next, i, &payment, NULL);
            if (payment.order_id != order_id)
                continue;
            if (answer->payment_count >= PAYMENTS_MAX)
                fail("a list has too many payments");
            answer->payments[answer->payment_count++] = payment;
        }
        stockade_waiting_payments_free(page);
        page = next;
        is_last = stockade_waiting_payments_next(page) == NULL;
    }
    stockade_waiting_payments_free(page);
}

static inline void call_hold_batch(stockade_engine *engine, struct answer *answer,
                                   const stockade_hold_request *requests, uint64_t count)
{
    stockade_hold_results *results = NULL;
    answer->code = stockade_engine_create_hold_batch(engine, requests, count, &results,
                                                     &answer->error);
    answer->result_count = stockade_hold_results_count(results);
    if (answer->result_count > RESULTS_MAX)
        fail("a batch has too many results");
    for (size_t i = 0; i < answer->result_count; i++) {
        struct result *result = &answer->results[i];
        result->code = stockade_hold_results_get(results, i, &result->hold, &result->replayed,
                                                 &result->error);
    }
    stockade_hold_results_free(results);
}

/* The kinds of all events of a product, in order, each followed by a comma. */
static inline void call_events(stockade_engine *engine, struct answer *answer, uint64_t product_id)
{
    uint64_t cursor = 0;
    size_t count = 0;
    do {
        stockade_events *events = NULL;
        answer->code = stockade_engine_events_after(engine, cursor, 1000, &events, &answer->error);
        count = stockade_events_count(events);
        for (size_t i = 0; i < count; i++) {
            stockade_event event = STOCKADE_INIT(stockade_event);
            stockade_events_get(events, i, &event, NULL);
            cursor = event.cursor;
            size_t used = strlen(answer->types);
            if (event.product_id == product_id)
                snprintf(answer->types + used, TYPES_MAX - used, "%s,",
                         stockade_event_kind_name(event.kind));
        }
        stockade_events_free(events);
    } while (count > 0);
}

static inline struct answer create(stockade_engine *engine, const char *name, uint64_t stock)
{
    struct answer answer = no_answer();
    stockade_new_product request = STOCKADE_INIT(stockade_new_product);
    request.name = name;
    request.stock = stock;
    stockade_price_from_text("19.99", &request.price_minor, NULL);
    if (stockade_engine_create_product(engine, &request, &answer.product, NULL, NULL) != STOCKADE_CODE_OK)
        fail("a product could not be created");
    return answer;
}

/* Settings are alternating names and values, up to a NULL; later ones take precedence. */
static inline stockade_engine *open_engine(const char *const *settings)
{
    stockade_options *options = NULL;
    stockade_engine *engine = NULL;
    stockade_error *error = NULL;
    stockade_options_new(&options, NULL);
    for (; *settings != NULL; settings += 2)
        stockade_options_set(options, settings[0], settings[1], &error);
    if (error != NULL ||
        stockade_engine_open_with(options, &engine, &error) != STOCKADE_CODE_OK)
        fail(stockade_error_message(error));
    stockade_options_free(options);
    return engine;
}

/* The store must be consistent after each case. */
static inline void check_books(stockade_engine *engine)
{
    stockade_audit *audit = NULL;
    stockade_audit_summary summary = STOCKADE_INIT(stockade_audit_summary);
    stockade_engine_audit(engine, &audit, NULL);
    if (stockade_audit_read(audit, &summary, NULL) != STOCKADE_CODE_OK || !summary.consistent)
        fail("the store is not consistent");
    stockade_audit_free(audit);
}

#endif

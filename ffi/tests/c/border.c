/* Misuse by a C program is rejected without writing to its memory. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <stockade.h>
#include "check.h"

#define REFUSED(call) CHECK((call) == STOCKADE_CODE_INVALID_ARGUMENT)

enum { THREADS = 4, UNITS = 40 };

struct buyer {
    stockade_engine *engine;
    uint64_t product_id;
    int held;
    int refused;
};

static void *buy(void *arg)
{
    struct buyer *buyer = arg;
    for (int i = 0; i < UNITS; i++) {
        stockade_hold_request request = STOCKADE_INIT(stockade_hold_request);
        request.product_id = buyer->product_id;
        request.quantity = 1;
        stockade_hold hold = STOCKADE_INIT(stockade_hold);
        stockade_error *error = NULL;
        if (stockade_engine_create_hold(buyer->engine, &request, &hold, NULL, &error) == STOCKADE_CODE_OK)
            buyer->held++;
        else if (stockade_error_code(error) == STOCKADE_CODE_INSUFFICIENT_STOCK)
            buyer->refused++;
        stockade_error_free(error);
    }
    return NULL;
}

static int nulls(stockade_engine *engine)
{
    stockade_error *error = NULL;
    stockade_product product = STOCKADE_INIT(stockade_product);
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    stockade_order order = STOCKADE_INIT(stockade_order);
    stockade_holds *holds = NULL;
    stockade_hold_results *results = NULL;
    stockade_products *products = NULL;
    stockade_events *events = NULL;
    stockade_audit *audit = NULL;

    REFUSED(stockade_engine_product(NULL, 1, &product, &error));
    CHECK(error != NULL && strlen(stockade_error_message(error)) > 0);
    stockade_error_free(error);
    REFUSED(stockade_engine_product(engine, 1, NULL, NULL));
    REFUSED(stockade_engine_products(NULL, 0, 1, &products, NULL));
    REFUSED(stockade_engine_products(engine, 0, 1, NULL, NULL));
    REFUSED(stockade_products_get(NULL, 0, &product, NULL));
    REFUSED(stockade_engine_create_product(engine, NULL, &product, NULL));
    stockade_new_product nameless = STOCKADE_INIT(stockade_new_product);
    REFUSED(stockade_engine_create_product(engine, &nameless, &product, NULL));
    nameless.name = "Lamp";
    nameless.price_minor = -1;
    REFUSED(stockade_engine_create_product(engine, &nameless, &product, NULL));
    REFUSED(stockade_engine_adjust_stock(engine, NULL, &product, NULL));
    REFUSED(stockade_engine_create_hold(engine, NULL, &hold, NULL, NULL));
    REFUSED(stockade_engine_create_holds(engine, NULL, &holds, NULL, NULL));
    stockade_cart_request cart = STOCKADE_INIT(stockade_cart_request);
    cart.line_count = 1;
    REFUSED(stockade_engine_create_holds(engine, &cart, &holds, NULL, NULL));
    REFUSED(stockade_holds_get(NULL, 0, &hold, NULL));
    REFUSED(stockade_engine_create_hold_batch(NULL, NULL, 0, &results, NULL));
    REFUSED(stockade_engine_create_hold_batch(engine, NULL, 0, NULL, NULL));
    REFUSED(stockade_engine_create_hold_batch(engine, NULL, 1, &results, NULL));
    REFUSED(stockade_hold_results_get(NULL, 0, &hold, NULL, NULL));
    CHECK(stockade_engine_create_hold_batch(engine, NULL, 0, &results, NULL) == STOCKADE_CODE_OK);
    CHECK(results != NULL && stockade_hold_results_count(results) == 0);
    REFUSED(stockade_hold_results_get(results, 0, &hold, NULL, NULL));
    stockade_hold_results_free(results);
    REFUSED(stockade_engine_release_hold(NULL, 1, &hold, NULL));
    REFUSED(stockade_engine_release_hold_with(engine, NULL, &hold, NULL));
    REFUSED(stockade_engine_extend_hold(engine, NULL, &hold, NULL));
    REFUSED(stockade_engine_hold(engine, 1, NULL, NULL));
    REFUSED(stockade_engine_create_order(engine, NULL, &order, NULL, NULL));
    REFUSED(stockade_engine_order(NULL, 1, &order, NULL));
    REFUSED(stockade_engine_record_payment(engine, NULL, NULL, NULL, NULL));
    REFUSED(stockade_engine_sweep(NULL, NULL, NULL));
    REFUSED(stockade_engine_audit(engine, NULL, NULL));
    REFUSED(stockade_audit_read(audit, NULL, NULL));
    REFUSED(stockade_audit_finding(audit, 0, NULL, NULL));
    REFUSED(stockade_engine_events_after(engine, 0, 1, NULL, NULL));
    REFUSED(stockade_events_get(events, 0, NULL, NULL));
    REFUSED(stockade_engine_ping(NULL, NULL));
    REFUSED(stockade_engine_close(NULL, NULL));
    REFUSED(stockade_engine_metrics_text(engine, NULL, NULL));
    REFUSED(stockade_engine_open(NULL, &engine, NULL));
    REFUSED(stockade_options_new(NULL, NULL));
    REFUSED(stockade_options_set(NULL, "a", "b", NULL));
    REFUSED(stockade_id_from_text(NULL, NULL, NULL));

    stockade_engine_free(NULL);
    stockade_options_free(NULL);
    stockade_products_free(NULL);
    stockade_holds_free(NULL);
    stockade_hold_results_free(NULL);
    stockade_events_free(NULL);
    stockade_audit_free(NULL);
    stockade_error_free(NULL);
    stockade_string_free(NULL);
    CHECK(stockade_products_count(NULL) == 0 && stockade_products_next(NULL) == 0);
    CHECK(stockade_holds_count(NULL) == 0 && stockade_events_count(NULL) == 0);
    CHECK(stockade_hold_results_count(NULL) == 0);
    CHECK(stockade_error_code(NULL) == STOCKADE_CODE_OK);
    CHECK(strcmp(stockade_error_message(NULL), "") == 0);
    CHECK(!stockade_error_available(NULL, NULL) && !stockade_error_order_id(NULL, NULL));
    CHECK(!stockade_error_replayed(NULL) && stockade_error_retry_after_ms(NULL) == 0);
    CHECK(stockade_error_short_count(NULL) == 0 && !stockade_error_short_line(NULL, 0, NULL));
    return 0;
}

static int wrong_structs(stockade_engine *engine, uint64_t product_id)
{
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    stockade_hold_request request = {0};
    request.product_id = product_id;
    request.quantity = 1;
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    request.struct_size = sizeof request;
    request.ttl_us = 1;
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    request.has_ttl = 2;
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    request.has_ttl = request.ttl_us = 0;
    request.key = "\xff";
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    request.key = NULL;
    request.customer = "\xff";
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    request.customer = "";
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    request.customer = NULL;
    stockade_release_request release = STOCKADE_INIT(stockade_release_request);
    release.hold_id = 1;
    release.token = "mine";
    REFUSED(stockade_engine_release_hold_with(engine, &release, &hold, NULL));
    hold.struct_size = 0;
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    hold.struct_size = sizeof hold;
    stockade_product product = STOCKADE_INIT(stockade_product);
    CHECK(stockade_engine_product(engine, product_id, &product, NULL) == STOCKADE_CODE_OK);
    CHECK(product.held == 0);

    /* What a program from before customers and tokens has behind its structs
     * is not looked at. */
    request.struct_size = offsetof(stockade_hold_request, customer);
    request.customer = "\xff";
    CHECK(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL) == STOCKADE_CODE_OK);
    stockade_extend_request extend = STOCKADE_INIT(stockade_extend_request);
    extend.struct_size = offsetof(stockade_extend_request, token);
    extend.hold_id = hold.id;
    extend.token = "\xff";
    CHECK(stockade_engine_extend_hold(engine, &extend, &hold, NULL) == STOCKADE_CODE_OK);
    release.hold_id = hold.id;
    release.token = hold.token;
    CHECK(stockade_engine_release_hold_with(engine, &release, &hold, NULL) == STOCKADE_CODE_OK);

    /* A count this large is rejected unread. */
    stockade_cart_line line = {.product_id = product_id, .quantity = 1};
    stockade_cart_request cart = STOCKADE_INIT(stockade_cart_request);
    stockade_holds *holds = NULL;
    cart.lines = &line;
    cart.line_count = STOCKADE_CART_LINES_MAX + 1;
    REFUSED(stockade_engine_create_holds(engine, &cart, &holds, NULL, NULL));
    cart.line_count = UINT64_MAX;
    REFUSED(stockade_engine_create_holds(engine, &cart, &holds, NULL, NULL));

    stockade_payment_event event = STOCKADE_INIT(stockade_payment_event);
    event.status = "success";
    event.order_id = 1;
    REFUSED(stockade_engine_record_payment(engine, &event, NULL, NULL, NULL));
    event.has_order_id = 1;
    event.body_length = 5;
    REFUSED(stockade_engine_record_payment(engine, &event, NULL, NULL, NULL));

    /* A length this large is rejected unread. */
    uint64_t lengths[] = {STOCKADE_BODY_LENGTH_MAX + 1, UINT64_C(1) << 62, UINT64_MAX};
    event.body = (const uint8_t *)"{}";
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        event.body_length = lengths[i];
        REFUSED(stockade_engine_record_payment(engine, &event, NULL, NULL, NULL));
    }
    return 0;
}

/* Reserved fields must be 0 in every struct. */
static int reserved(stockade_engine *engine, uint64_t product_id)
{
    stockade_product product = STOCKADE_INIT(stockade_product);
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    stockade_order order = STOCKADE_INIT(stockade_order);
    stockade_holds *holds = NULL;
    stockade_error *error = NULL;

    stockade_new_product new_product = STOCKADE_INIT(stockade_new_product);
    new_product.name = "Lamp";
    new_product.reserved = 1;
    REFUSED(stockade_engine_create_product(engine, &new_product, &product, &error));
    CHECK(strstr(stockade_error_message(error), "stockade_new_product.reserved") != NULL);
    stockade_error_free(error);
    stockade_stock_adjustment adjustment = STOCKADE_INIT(stockade_stock_adjustment);
    adjustment.product_id = product_id;
    adjustment.delta = 1;
    adjustment.reason = "delivery";
    adjustment.reserved = 1;
    REFUSED(stockade_engine_adjust_stock(engine, &adjustment, &product, NULL));
    stockade_hold_request request = STOCKADE_INIT(stockade_hold_request);
    request.product_id = product_id;
    request.quantity = 1;
    request.reserved = UINT32_MAX;
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    stockade_cart_line lines[] = {{product_id, 1, 0}, {product_id, 1, 1}};
    stockade_cart_request cart = STOCKADE_INIT(stockade_cart_request);
    cart.lines = lines;
    cart.line_count = 2;
    REFUSED(stockade_engine_create_holds(engine, &cart, &holds, NULL, NULL));
    CHECK(holds == NULL);

    request.reserved = 0;
    CHECK(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL) == STOCKADE_CODE_OK);
    stockade_order_request ordered = STOCKADE_INIT(stockade_order_request);
    ordered.hold_id = hold.id;
    ordered.product_id = product_id;
    ordered.reserved = 1;
    REFUSED(stockade_engine_create_order(engine, &ordered, &order, NULL, NULL));
    stockade_release_request release = STOCKADE_INIT(stockade_release_request);
    release.hold_id = hold.id;
    release.reserved = 1;
    REFUSED(stockade_engine_release_hold_with(engine, &release, &hold, NULL));
    release.reserved = 0;
    CHECK(stockade_engine_release_hold_with(engine, &release, &hold, NULL) == STOCKADE_CODE_OK);
    return 0;
}

enum { BATCH = 8 };

static void plain_batch(stockade_hold_request *requests, uint64_t product_id)
{
    memset(requests, 0, BATCH * sizeof *requests);
    for (int i = 0; i < BATCH; i++) {
        requests[i].struct_size = sizeof *requests;
        requests[i].product_id = product_id;
        requests[i].quantity = 1;
    }
}

/* A request that cannot be read costs only itself. */
static int batch_results(stockade_engine *engine, uint64_t product_id)
{
    stockade_hold_request requests[BATCH];
    stockade_hold_results *results = NULL;
    plain_batch(requests, product_id);
    requests[1].ttl_us = 1;
    requests[2].reserved = 1;
    requests[3].key = "\xff";
    requests[4].customer = "\xff";
    requests[5].quantity = UNITS;
    requests[6].key = requests[7].key = "batch";
    CHECK(stockade_engine_create_hold_batch(engine, requests, BATCH, &results, NULL) ==
          STOCKADE_CODE_OK);
    CHECK(stockade_hold_results_count(results) == BATCH);
    stockade_hold holds[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        bool is_held = i == 0 || i > 5, replayed = false;
        stockade_error *error = NULL;
        holds[i] = (stockade_hold)STOCKADE_INIT(stockade_hold);
        stockade_code code = stockade_hold_results_get(results, i, &holds[i], &replayed, &error);
        CHECK(code == stockade_error_code(error) && (code == STOCKADE_CODE_OK) == is_held);
        CHECK(replayed == (i == 7));
        if (i == 5) {
            stockade_short_line line = STOCKADE_INIT(stockade_short_line);
            CHECK(code == STOCKADE_CODE_INSUFFICIENT_STOCK);
            CHECK(stockade_error_short_line(error, 0, &line) && line.available == UNITS - 1);
        } else if (!is_held) {
            CHECK(code == STOCKADE_CODE_INVALID_ARGUMENT && holds[i].id == 0);
        }
        stockade_error_free(error);
    }
    CHECK(holds[6].id == holds[7].id && holds[6].id != holds[0].id);

    /* Each may be read again, in any order. */
    stockade_hold again = STOCKADE_INIT(stockade_hold);
    CHECK(stockade_hold_results_get(results, 0, &again, NULL, NULL) == STOCKADE_CODE_OK);
    CHECK(again.id == holds[0].id && strcmp(again.token, holds[0].token) == 0);
    REFUSED(stockade_hold_results_get(results, BATCH, &again, NULL, NULL));
    REFUSED(stockade_hold_results_get(results, 0, NULL, NULL, NULL));
    again.struct_size = 0;
    REFUSED(stockade_hold_results_get(results, 0, &again, NULL, NULL));
    stockade_hold_results_free(results);
    for (size_t i = 0; i < BATCH; i += 6)
        CHECK(stockade_engine_release_hold(engine, holds[i].id, &holds[i], NULL) == STOCKADE_CODE_OK);
    return 0;
}

/* An array whose layout is unclear is rejected as a whole. */
static int wrong_batches(stockade_engine *engine, uint64_t product_id)
{
    stockade_hold_request requests[BATCH];
    stockade_hold_results *results = NULL;
    stockade_error *error = NULL;
    plain_batch(requests, product_id);
    REFUSED(stockade_engine_create_hold_batch(engine, requests, STOCKADE_HOLD_BATCH_MAX + 1,
                                              &results, NULL));
    REFUSED(stockade_engine_create_hold_batch(engine, requests, UINT64_MAX, &results, NULL));
    const char *shifted = (const char *)requests + 4;
    REFUSED(stockade_engine_create_hold_batch(engine, (const void *)shifted, 1, &results, NULL));
    requests[BATCH - 1].struct_size = offsetof(stockade_hold_request, customer);
    REFUSED(stockade_engine_create_hold_batch(engine, requests, BATCH, &results, &error));
    CHECK(strstr(stockade_error_message(error), "element 7") != NULL && results == NULL);
    stockade_error_free(error);
    for (uint32_t size = 0; size < sizeof *requests; size++) {
        requests[0].struct_size = size;
        if (size != offsetof(stockade_hold_request, customer))
            REFUSED(stockade_engine_create_hold_batch(engine, requests, 1, &results, NULL));
    }
    stockade_product product = STOCKADE_INIT(stockade_product);
    CHECK(stockade_engine_product(engine, product_id, &product, NULL) == STOCKADE_CODE_OK);
    CHECK(product.held == 0);

    /* A program from before customers has smaller structs in its array. */
    enum { OLDER = offsetof(stockade_hold_request, customer) / sizeof(uint64_t) };
    uint64_t older[2][OLDER];
    requests[0].struct_size = sizeof *older;
    memcpy(older[0], requests, sizeof *older);
    memcpy(older[1], requests, sizeof *older);
    CHECK(stockade_engine_create_hold_batch(engine, (const void *)older, 2, &results, NULL) ==
          STOCKADE_CODE_OK);
    for (size_t i = 0; i < 2; i++) {
        stockade_hold hold = STOCKADE_INIT(stockade_hold);
        CHECK(stockade_hold_results_get(results, i, &hold, NULL, NULL) == STOCKADE_CODE_OK);
        CHECK(stockade_engine_release_hold(engine, hold.id, &hold, NULL) == STOCKADE_CODE_OK);
    }
    stockade_hold_results_free(results);
    return 0;
}

/* A message is a single line, whatever it quotes. */
static int one_line(void)
{
    stockade_engine *engine = NULL;
    stockade_error *error = NULL;
    uint64_t id = 0;
    REFUSED(stockade_id_from_text("1\r\n2", &id, &error));
    CHECK(strpbrk(stockade_error_message(error), "\r\n") == NULL);
    CHECK(strstr(stockade_error_message(error), "1\\r\\n2") != NULL);
    stockade_error_free(error);
    error = NULL;
    CHECK(stockade_engine_open("my\nshop:", &engine, &error) != STOCKADE_CODE_OK);
    CHECK(strpbrk(stockade_error_message(error), "\r\n") == NULL);
    stockade_error_free(error);
    return 0;
}

static int lists(stockade_engine *engine)
{
    stockade_products *products = NULL;
    stockade_product product = STOCKADE_INIT(stockade_product);
    REFUSED(stockade_engine_products(engine, 0, 0, &products, NULL));
    CHECK(products == NULL);
    CHECK(stockade_engine_products(engine, 0, 1, &products, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_products_count(products) == 1 && stockade_products_next(products) == 0);
    CHECK(stockade_products_get(products, 0, &product, NULL) == STOCKADE_CODE_OK);
    CHECK(strcmp(product.name, "L\xc3\xa4mp") == 0 && product.price_minor == 1999);
    REFUSED(stockade_products_get(products, 1, &product, NULL));
    stockade_products_free(products);

    stockade_events *events = NULL;
    stockade_event event = STOCKADE_INIT(stockade_event);
    CHECK(stockade_engine_events_after(engine, 0, 100, &events, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_events_count(events) > 1);
    CHECK(stockade_events_get(events, 1, &event, NULL) == STOCKADE_CODE_OK);
    CHECK(event.kind == STOCKADE_EVENT_KIND_HOLD_CREATED && event.hold_id != 0 && event.quantity == 1);
    CHECK(strcmp(stockade_event_kind_name(event.kind), "hold.created") == 0);
    REFUSED(stockade_events_get(events, 100, &event, NULL));
    stockade_events_free(events);

    stockade_audit *audit = NULL;
    stockade_audit_summary summary = STOCKADE_INIT(stockade_audit_summary);
    stockade_finding finding = STOCKADE_INIT(stockade_finding);
    CHECK(stockade_engine_audit(engine, &audit, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_audit_read(audit, &summary, NULL) == STOCKADE_CODE_OK);
    CHECK(summary.consistent == 1 && summary.findings == 0 && summary.received == UNITS);
    REFUSED(stockade_audit_finding(audit, 0, &finding, NULL));
    stockade_audit_free(audit);

    char *text = NULL;
    CHECK(stockade_engine_metrics_text(engine, &text, NULL) == STOCKADE_CODE_OK);
    CHECK(strstr(text, "stockade_") != NULL);
    stockade_string_free(text);
    return 0;
}

/* A key creates a product once. */
static int keyed_product(void)
{
    stockade_engine *engine = NULL;
    CHECK(stockade_engine_open("sqlite::memory:", &engine, NULL) == STOCKADE_CODE_OK);
    stockade_new_product request = STOCKADE_INIT(stockade_new_product);
    request.name = "Rug";
    request.key = "import-7";
    stockade_product first = STOCKADE_INIT(stockade_product), again = first;
    CHECK(stockade_engine_create_product(engine, &request, &first, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_create_product(engine, &request, &again, NULL) == STOCKADE_CODE_OK);
    CHECK(again.id == first.id);
    request.stock = 1;
    CHECK(stockade_engine_create_product(engine, &request, &again, NULL) ==
          STOCKADE_CODE_IDEMPOTENCY_MISMATCH);
    stockade_engine_free(engine);
    return 0;
}

int main(void)
{
    stockade_engine *engine = NULL;
    CHECK(stockade_engine_open("sqlite::memory:", &engine, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_ping(engine, NULL) == STOCKADE_CODE_OK);
    CHECK(strlen(stockade_version()) > 0);
    CHECK(nulls(engine) == 0);

    stockade_new_product request = STOCKADE_INIT(stockade_new_product);
    request.name = "L\xc3\xa4mp";
    request.stock = UNITS;
    CHECK(stockade_price_from_text("19.99", &request.price_minor, NULL) == STOCKADE_CODE_OK);
    stockade_product product = STOCKADE_INIT(stockade_product);
    CHECK(stockade_engine_create_product(engine, &request, &product, NULL) == STOCKADE_CODE_OK);
    CHECK(keyed_product() == 0);
    CHECK(wrong_structs(engine, product.id) == 0);
    CHECK(reserved(engine, product.id) == 0);
    CHECK(batch_results(engine, product.id) == 0);
    CHECK(wrong_batches(engine, product.id) == 0);
    CHECK(one_line() == 0);

    /* More threads than units: each unit is sold exactly once. */
    pthread_t threads[THREADS];
    struct buyer buyers[THREADS];
    int held = 0, refused = 0;
    for (int i = 0; i < THREADS; i++) {
        buyers[i] = (struct buyer){engine, product.id, 0, 0};
        CHECK(pthread_create(&threads[i], NULL, buy, &buyers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        held += buyers[i].held;
        refused += buyers[i].refused;
    }
    CHECK(held == UNITS && refused == (THREADS - 1) * UNITS);
    CHECK(lists(engine) == 0);

    CHECK(stockade_engine_close(engine, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_close(engine, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_ping(engine, NULL) == STOCKADE_CODE_MISUSE);
    stockade_hold_results *results = NULL;
    CHECK(stockade_engine_create_hold_batch(engine, NULL, 0, &results, NULL) ==
          STOCKADE_CODE_MISUSE);
    CHECK(results == NULL);
    stockade_engine_free(engine);
    puts("ok");
    return 0;
}

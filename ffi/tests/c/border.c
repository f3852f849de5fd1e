/* Misuse by a C program is rejected without writing to its memory. Each family of
 * calls has a file of its own. */
#include <pthread.h>
#include "border.h"

/* 4,097 bytes, filled in by main. */
static char too_long[4098] = "{\"a\":\"";
const char *const no_metadata[] = {"", "[]", "{", "null", "\xff", too_long};

enum { THREADS = 4 };

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

/* Engines, options and errors. */
static int nulls(stockade_engine *engine)
{
    REFUSED(stockade_engine_ping(NULL, NULL));
    REFUSED(stockade_engine_close(NULL, NULL));
    REFUSED(stockade_engine_open(NULL, &engine, NULL));
    REFUSED(stockade_options_new(NULL, NULL));
    REFUSED(stockade_options_set(NULL, "a", "b", NULL));
    REFUSED(stockade_id_from_text(NULL, NULL, NULL));

    stockade_engine_free(NULL);
    stockade_options_free(NULL);
    stockade_error_free(NULL);
    CHECK(stockade_error_code(NULL) == STOCKADE_CODE_OK);
    CHECK(strcmp(stockade_error_message(NULL), "") == 0);
    CHECK(!stockade_error_available(NULL, NULL) && !stockade_error_order_id(NULL, NULL));
    CHECK(!stockade_error_replayed(NULL) && stockade_error_retry_after_ms(NULL) == 0);
    CHECK(stockade_error_short_count(NULL) == 0 && !stockade_error_short_line(NULL, 0, NULL));
    CHECK(stockade_error_hold_count(NULL) == 0 && !stockade_error_hold(NULL, 0, NULL));
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
    int64_t micros = 0;
    REFUSED(stockade_time_from_text("2026-11-27", &micros, NULL));
    REFUSED(stockade_time_from_text("2026-11-27T08:00:00Z", NULL, NULL));
    REFUSED(stockade_time_from_text(NULL, &micros, NULL));
    CHECK(stockade_time_from_text("1970-01-01T01:00:01.5+01:00", &micros, NULL) == STOCKADE_CODE_OK);
    CHECK(micros == 1500000);
    CHECK(stockade_engine_open("my\nshop:", &engine, &error) != STOCKADE_CODE_OK);
    CHECK(strpbrk(stockade_error_message(error), "\r\n") == NULL);
    stockade_error_free(error);
    return 0;
}

/* More threads than units: each unit is sold exactly once. */
static int buyers(stockade_engine *engine, uint64_t product_id)
{
    pthread_t threads[THREADS];
    struct buyer buyers[THREADS];
    int held = 0, refused = 0;
    for (int i = 0; i < THREADS; i++) {
        buyers[i] = (struct buyer){engine, product_id, 0, 0};
        CHECK(pthread_create(&threads[i], NULL, buy, &buyers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        held += buyers[i].held;
        refused += buyers[i].refused;
    }
    CHECK(held == UNITS && refused == (THREADS - 1) * UNITS);
    return 0;
}

int main(void)
{
    stockade_engine *engine = NULL;
    CHECK(stockade_engine_open("sqlite::memory:", &engine, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_ping(engine, NULL) == STOCKADE_CODE_OK);
    CHECK(strlen(stockade_version()) > 0);
    CHECK(nulls(engine) == 0);
    memset(too_long + 6, 'x', 4089);
    strcpy(too_long + 4095, "\"}");

    stockade_new_product request = STOCKADE_INIT(stockade_new_product);
    request.name = "L\xc3\xa4mp";
    request.stock = UNITS;
    CHECK(stockade_price_from_text("19.99", &request.price_minor, NULL) == STOCKADE_CODE_OK);
    stockade_product product = STOCKADE_INIT(stockade_product);
    CHECK(stockade_engine_create_product(engine, &request, &product, NULL, NULL) == STOCKADE_CODE_OK);
    CHECK(products_border(engine, product.id) == 0);
    CHECK(holds_border(engine, product.id) == 0);
    CHECK(orders_border(engine, product.id) == 0);
    CHECK(batches_border(engine, product.id) == 0);
    CHECK(lists_border(engine, product.id) == 0);
    CHECK(actors_border(engine) == 0);
    CHECK(one_line() == 0);
    CHECK(buyers(engine, product.id) == 0);
    CHECK(reads_border(engine) == 0);

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

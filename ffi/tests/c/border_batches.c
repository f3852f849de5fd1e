/* Batches: a request that cannot be read costs only itself, an array that cannot,
 * the call. */
#include "border.h"

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
        if (size != offsetof(stockade_hold_request, customer) &&
            size != offsetof(stockade_hold_request, at_most) &&
            size != offsetof(stockade_hold_request, sku) &&
            size != offsetof(stockade_hold_request, metadata))
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

int batches_border(stockade_engine *engine, uint64_t product_id)
{
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    stockade_hold_results *results = NULL;
    REFUSED(stockade_engine_create_hold_batch(NULL, NULL, 0, &results, NULL));
    REFUSED(stockade_engine_create_hold_batch(engine, NULL, 0, NULL, NULL));
    REFUSED(stockade_engine_create_hold_batch(engine, NULL, 1, &results, NULL));
    REFUSED(stockade_hold_results_get(NULL, 0, &hold, NULL, NULL));
    CHECK(stockade_engine_create_hold_batch(engine, NULL, 0, &results, NULL) == STOCKADE_CODE_OK);
    CHECK(results != NULL && stockade_hold_results_count(results) == 0);
    REFUSED(stockade_hold_results_get(results, 0, &hold, NULL, NULL));
    stockade_hold_results_free(results);
    stockade_hold_results_free(NULL);
    CHECK(stockade_hold_results_count(NULL) == 0);
    CHECK(batch_results(engine, product_id) == 0);
    return wrong_batches(engine, product_id);
}

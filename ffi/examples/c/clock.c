/* A unit test of what happens when a hold ends: it moves the engine's clock instead of
 * waiting.
 *
 *   cc clock.c -o clock $(pkg-config --cflags --libs stockade) */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <stockade.h>

/* Ends the program on an error. */
static void check(stockade_code code, stockade_error *const *error)
{
    if (code != STOCKADE_CODE_OK) {
        fprintf(stderr, "%s: %s\n", stockade_code_name(code), stockade_error_message(*error));
        stockade_error_free(*error);
        exit(1);
    }
}

static const uint64_t SECOND = 1000000;

/* Opens an engine in memory whose time stands still. */
static stockade_engine *open_test_engine(void)
{
    stockade_error *error = NULL;
    stockade_options *options = NULL;
    stockade_engine *engine = NULL;
    check(stockade_options_new(&options, &error), &error);
    check(stockade_options_set(options, "store", "sqlite::memory:", &error), &error);
    check(stockade_options_set(options, "clock", "manual", &error), &error);
    check(stockade_options_set(options, "hold_ttl", "2m", &error), &error);
    check(stockade_engine_open_with(options, &engine, &error), &error);
    stockade_options_free(options);
    return engine;
}

static uint64_t stock_of(const stockade_engine *engine, uint64_t product_id)
{
    stockade_error *error = NULL;
    stockade_product product = STOCKADE_INIT(stockade_product);
    check(stockade_engine_product(engine, product_id, &product, &error), &error);
    return product.stock;
}

static void test_a_hold_that_ends_returns_its_units(void)
{
    stockade_error *error = NULL;
    stockade_engine *engine = open_test_engine();
    stockade_new_product new_lamp = STOCKADE_INIT(stockade_new_product);
    new_lamp.name = "Lamp";
    new_lamp.price = "19.99";
    new_lamp.stock = 5;
    stockade_product lamp = STOCKADE_INIT(stockade_product);
    check(stockade_engine_create_product(engine, &new_lamp, &lamp, NULL, &error), &error);
    stockade_hold_request request = STOCKADE_INIT(stockade_hold_request);
    request.product_id = lamp.id;
    request.quantity = 2;
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    check(stockade_engine_create_hold(engine, &request, &hold, NULL, &error), &error);
    assert(stock_of(engine, lamp.id) == 3);

    check(stockade_engine_advance_clock(engine, 119 * SECOND, NULL, &error), &error);
    assert(stock_of(engine, lamp.id) == 3);
    int64_t now = 0;
    check(stockade_engine_advance_clock(engine, 1 * SECOND, &now, &error), &error);
    assert(now == hold.expires_at_us);
    assert(stock_of(engine, lamp.id) == 5);
    check(stockade_engine_hold(engine, hold.id, &hold, &error), &error);
    assert(hold.status == STOCKADE_HOLD_STATUS_EXPIRED);
    stockade_engine_free(engine);
}

/* A clock that is moved too far stays where it is. */
static void test_a_move_of_more_than_ten_years_is_refused(void)
{
    stockade_engine *engine = open_test_engine();
    int64_t before = 0, after = 0;
    stockade_error *error = NULL;
    check(stockade_engine_advance_clock(engine, 0, &before, &error), &error);
    assert(stockade_engine_advance_clock(engine, UINT64_MAX, &after, NULL)
           == STOCKADE_CODE_INVALID_ARGUMENT);
    assert(after == 0);
    check(stockade_engine_advance_clock(engine, 0, &after, &error), &error);
    assert(before == after);
    stockade_engine_free(engine);
}

int main(void)
{
    test_a_hold_that_ends_returns_its_units();
    test_a_move_of_more_than_ten_years_is_refused();
    puts("ok");
    return 0;
}

/* A cart: several products atomically, and the short lines if it fails.
 *
 *   cc cart.c -o cart $(pkg-config --cflags --libs stockade) */
#include <inttypes.h>
#include <stdio.h>
#include <stockade.h>

static uint64_t create(stockade_engine *engine, const char *name, uint64_t stock)
{
    stockade_new_product request = STOCKADE_INIT(stockade_new_product);
    request.name = name;
    request.stock = stock;
    stockade_product product = STOCKADE_INIT(stockade_product);
    return stockade_engine_create_product(engine, &request, &product, NULL, NULL) == STOCKADE_CODE_OK
               ? product.id
               : 0;
}

/* Returns the number of holds created. */
static size_t hold_cart(stockade_engine *engine, const stockade_cart_line *lines, uint64_t count)
{
    stockade_cart_request request = STOCKADE_INIT(stockade_cart_request);
    request.lines = lines;
    request.line_count = count;
    stockade_holds *holds = NULL;
    stockade_error *error = NULL;
    if (stockade_engine_create_holds(engine, &request, &holds, NULL, &error) != STOCKADE_CODE_OK) {
        printf("%s\n", stockade_code_name(stockade_error_code(error)));
        for (size_t i = 0; i < stockade_error_short_count(error); i++) {
            stockade_short_line line = STOCKADE_INIT(stockade_short_line);
            if (stockade_error_short_line(error, i, &line))
                printf("  product %" PRIu64 ": %" PRIu64 " of %" PRIu64 "\n", line.product_id,
                       line.available, line.requested);
        }
        stockade_error_free(error);
        return 0;
    }
    size_t made = stockade_holds_count(holds);
    for (size_t i = 0; i < made; i++) {
        stockade_hold hold = STOCKADE_INIT(stockade_hold);
        if (stockade_holds_get(holds, i, &hold, NULL) == STOCKADE_CODE_OK)
            printf("held %" PRIu32 " of product %" PRIu64 "\n", hold.quantity, hold.product_id);
    }
    stockade_holds_free(holds);
    return made;
}

int main(void)
{
    stockade_engine *engine = NULL;
    if (stockade_engine_open("sqlite::memory:", &engine, NULL) != STOCKADE_CODE_OK)
        return 1;
    uint64_t lamp = create(engine, "Lamp", 5);
    uint64_t bulb = create(engine, "Bulb", 3);
    const stockade_cart_line fits[] = {{bulb, 1, 0, NULL}, {lamp, 2, 0, NULL}, {bulb, 1, 0, NULL}};
    const stockade_cart_line too_much[] = {{bulb, 2, 0, NULL}, {lamp, 4, 0, NULL}};
    size_t first = hold_cart(engine, fits, 3);
    size_t second = hold_cart(engine, too_much, 2);
    stockade_engine_free(engine);
    return first == 2 && second == 0 ? 0 : 1;
}

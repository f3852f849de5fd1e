/* A program takes the engine's log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stockade.h>
#include "check.h"

/* Prints a line; the context is the stream. The engine's threads call it. */
static void print_line(stockade_log_level level, const char *target, const char *message,
                       void *context)
{
    static const char *const levels[] = {"", "ERROR", "WARN", "INFO", "DEBUG"};
    fprintf(context, "%s %s %s\n", levels[level], target, message);
}

static int adjust(void)
{
    stockade_engine *engine = NULL;
    stockade_new_product lamp = STOCKADE_INIT(stockade_new_product);
    stockade_product product = STOCKADE_INIT(stockade_product);
    stockade_stock_adjustment found = STOCKADE_INIT(stockade_stock_adjustment);
    bool replayed;
    CHECK(stockade_engine_open("sqlite::memory:", &engine, NULL) == STOCKADE_CODE_OK);
    lamp.name = "Lamp";
    lamp.price = "19.99";
    lamp.stock = 5;
    CHECK(stockade_engine_create_product(engine, &lamp, &product, &replayed, NULL) ==
          STOCKADE_CODE_OK);
    found.product_id = product.id;
    found.delta = 3;
    found.reason = "found in a box";
    CHECK(stockade_engine_adjust_stock(engine, &found, &product, &replayed, NULL) ==
          STOCKADE_CODE_OK);
    stockade_engine_close(engine, NULL);
    stockade_engine_free(engine);
    return 0;
}

int main(void)
{
    CHECK(stockade_set_log(NULL, 3, NULL, NULL) == STOCKADE_CODE_INVALID_ARGUMENT);
    CHECK(stockade_set_log(print_line, 9, stdout, NULL) == STOCKADE_CODE_INVALID_ARGUMENT);
    CHECK(stockade_set_log(print_line, STOCKADE_LOG_LEVEL_INFO, stdout, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_set_log(print_line, STOCKADE_LOG_LEVEL_INFO, stdout, NULL) ==
          STOCKADE_CODE_MISUSE);
    CHECK(adjust() == 0);
    puts("ok");
    return 0;
}

/* The overhead of a call from C, through the shared library. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <time.h>
#include <stockade.h>

enum { NOOPS = 20000000, HOLDS = 20000 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(void)
{
    stockade_engine *engine = NULL;
    stockade_error *error = NULL;
    stockade_options *options = NULL;
    if (stockade_options_new(&options, NULL) != STOCKADE_CODE_OK ||
        stockade_options_set(options, "store", "sqlite::memory:", NULL) != STOCKADE_CODE_OK ||
        stockade_engine_open_shared(options, &engine, NULL) != STOCKADE_CODE_OK)
        return 1;
    stockade_options_free(options);
    /* Closing a shared engine does nothing: what is left is the call. */
    double start = now();
    for (int i = 0; i < NOOPS; i++)
        stockade_engine_close(engine, &error);
    printf("C     noop %8.1f ns\n", (now() - start) / NOOPS);

    stockade_new_product request = STOCKADE_INIT(stockade_new_product);
    request.name = "Lamp";
    request.stock = HOLDS;
    stockade_product product = STOCKADE_INIT(stockade_product);
    if (stockade_engine_create_product(engine, &request, &product, NULL, NULL) != STOCKADE_CODE_OK)
        return 1;
    stockade_hold_request wanted = STOCKADE_INIT(stockade_hold_request);
    wanted.product_id = product.id;
    wanted.quantity = 1;
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    start = now();
    for (int i = 0; i < HOLDS; i++)
        if (stockade_engine_create_hold(engine, &wanted, &hold, NULL, &error) != STOCKADE_CODE_OK)
            return 1;
    printf("C     hold %8.1f us\n", (now() - start) / HOLDS / 1000);
    stockade_engine_free(engine);
    return 0;
}

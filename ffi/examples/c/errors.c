/* How to read an error and react to it.
 *
 *   cc errors.c -o errors $(pkg-config --cflags --libs stockade) */
#include <inttypes.h>
#include <stdio.h>
#include <stockade.h>

/* Prints how to react to an error, and frees it. */
static void explain(stockade_error *error)
{
    uint64_t number;
    printf("%s: %s\n", stockade_code_name(stockade_error_code(error)),
           stockade_error_message(error));
    switch (stockade_error_code(error)) {
    case STOCKADE_CODE_INSUFFICIENT_STOCK:
        if (stockade_error_available(error, &number))
            printf("  offer %" PRIu64 " instead\n", number);
        break;
    case STOCKADE_CODE_HOLD_ALREADY_USED:
        if (stockade_error_order_id(error, &number))
            printf("  show order %" PRIu64 "\n", number);
        break;
    case STOCKADE_CODE_CONTENTION:
    case STOCKADE_CODE_UNAVAILABLE:
        printf("  try again in %" PRIu64 " ms\n", stockade_error_retry_after_ms(error));
        break;
    default:
        break;
    }
    stockade_error_free(error);
}

int main(void)
{
    stockade_error *error = NULL;
    stockade_engine *engine = NULL;
    if (stockade_engine_open("postgres://nowhere", &engine, &error) == STOCKADE_CODE_OK)
        return 1;
    explain(error);

    /* Settings by name; without a sweeper, this program sweeps itself. */
    stockade_options *options = NULL;
    if (stockade_options_new(&options, NULL) != STOCKADE_CODE_OK ||
        stockade_options_set(options, "store", "sqlite::memory:", NULL) != STOCKADE_CODE_OK ||
        stockade_options_set(options, "sweeper", "false", NULL) != STOCKADE_CODE_OK)
        return 1;
    if (stockade_options_set(options, "hold_tll", "60s", &error) == STOCKADE_CODE_OK)
        return 1;
    explain(error);
    if (stockade_engine_open_with(options, &engine, NULL) != STOCKADE_CODE_OK)
        return 1;
    stockade_options_free(options);

    stockade_new_product new_lamp = STOCKADE_INIT(stockade_new_product);
    new_lamp.name = "Lamp";
    new_lamp.stock = 5;
    stockade_product lamp = STOCKADE_INIT(stockade_product);
    if (stockade_engine_create_product(engine, &new_lamp, &lamp, NULL, NULL) != STOCKADE_CODE_OK)
        return 1;
    stockade_hold_request request = STOCKADE_INIT(stockade_hold_request);
    request.product_id = lamp.id;
    request.quantity = 6;
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    if (stockade_engine_create_hold(engine, &request, &hold, NULL, &error) == STOCKADE_CODE_OK)
        return 1;
    explain(error);

    stockade_sweep_report report = STOCKADE_INIT(stockade_sweep_report);
    if (stockade_engine_sweep(engine, &report, NULL) != STOCKADE_CODE_OK)
        return 1;
    printf("swept %" PRIu64 " holds\n", report.holds_expired);
    stockade_engine_free(engine);
    return 0;
}

/* The families of border.c: each returns 0 when all its misuse was rejected. */
#ifndef BORDER_H
#define BORDER_H

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <stockade.h>
#include "check.h"

#define REFUSED(call) CHECK((call) == STOCKADE_CODE_INVALID_ARGUMENT)

/* What is no metadata: the text of no JSON object, or of one that is too long. */
enum { NO_METADATA_COUNT = 6 };
extern const char *const no_metadata[NO_METADATA_COUNT];

/* The stock of the product that the families share. */
enum { UNITS = 40 };

int products_border(stockade_engine *engine, uint64_t product_id);
int holds_border(stockade_engine *engine, uint64_t product_id);
int batches_border(stockade_engine *engine, uint64_t product_id);
int orders_border(stockade_engine *engine, uint64_t product_id);
int lists_border(stockade_engine *engine, uint64_t product_id);
int reads_border(stockade_engine *engine);
int actors_border(stockade_engine *engine);

#endif

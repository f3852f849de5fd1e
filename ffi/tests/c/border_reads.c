/* Events, audits and metrics, which are read when holds were made. */
#include "border.h"

static int nulls(stockade_engine *engine)
{
    stockade_events *events = NULL;
    stockade_audit *audit = NULL;
    REFUSED(stockade_engine_sweep(NULL, NULL, NULL));
    REFUSED(stockade_engine_advance_clock(NULL, 1, NULL, NULL));
    /* Its clock is the store's. */
    int64_t now = 7;
    CHECK(stockade_engine_advance_clock(engine, 1, &now, NULL) == STOCKADE_CODE_MISUSE && now == 7);
    REFUSED(stockade_engine_audit(engine, NULL, NULL));
    REFUSED(stockade_audit_read(audit, NULL, NULL));
    REFUSED(stockade_audit_finding(audit, 0, NULL, NULL));
    REFUSED(stockade_engine_events_after(engine, 0, 1, NULL, NULL));
    REFUSED(stockade_events_get(events, 0, NULL, NULL));
    REFUSED(stockade_engine_metrics_text(engine, NULL, NULL));
    stockade_events_free(NULL);
    stockade_audit_free(NULL);
    stockade_string_free(NULL);
    CHECK(stockade_events_count(NULL) == 0);
    return 0;
}

int reads_border(stockade_engine *engine)
{
    CHECK(nulls(engine) == 0);
    stockade_events *events = NULL;
    stockade_event event = STOCKADE_INIT(stockade_event);
    CHECK(stockade_engine_events_after(engine, 0, 100, &events, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_events_count(events) > 2);
    CHECK(stockade_events_get(events, 2, &event, NULL) == STOCKADE_CODE_OK);
    CHECK(event.kind == STOCKADE_EVENT_KIND_HOLD_CREATED && event.hold_id != 0 && event.quantity == 1);
    CHECK(strcmp(stockade_event_kind_name(event.kind), "hold.created") == 0);
    CHECK(event.sku == NULL && event.customer == NULL && event.metadata == NULL);
    CHECK(event.actor == NULL && event.reference == NULL);
    CHECK(stockade_events_get(events, 0, &event, NULL) == STOCKADE_CODE_OK);
    CHECK(event.kind == STOCKADE_EVENT_KIND_PRODUCT_CREATED && event.hold_id == 0);
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

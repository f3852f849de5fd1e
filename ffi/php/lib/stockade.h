enum stockade_code
 {
    STOCKADE_CODE_OK = 0,
    STOCKADE_CODE_INVALID_ARGUMENT = 1,
    STOCKADE_CODE_QUANTITY_LIMIT = 2,
    STOCKADE_CODE_NOT_FOUND = 3,
    STOCKADE_CODE_PRODUCT_MISMATCH = 4,
    STOCKADE_CODE_INSUFFICIENT_STOCK = 5,
    STOCKADE_CODE_HOLD_EXPIRED = 6,
    STOCKADE_CODE_HOLD_ALREADY_USED = 7,
    STOCKADE_CODE_IDEMPOTENCY_MISMATCH = 8,
    STOCKADE_CODE_CONTENTION = 9,
    STOCKADE_CODE_UNAVAILABLE = 10,
    STOCKADE_CODE_UNAUTHORIZED = 11,
    STOCKADE_CODE_MISUSE = 12,
    STOCKADE_CODE_INTERNAL = 13,
    STOCKADE_CODE_VERSION_MISMATCH = 14,
    STOCKADE_CODE_ALREADY_EXISTS = 15,
    STOCKADE_CODE_NOT_ON_SALE = 16,
    STOCKADE_CODE_ALREADY_PAID = 17,
    STOCKADE_CODE_ORDER_CANCELLED = 18,
    STOCKADE_CODE_NOT_PAID = 19,
    STOCKADE_CODE_REFUND_TOO_LARGE = 20,
    STOCKADE_CODE_NOTHING_RETURNED = 21,
};
typedef uint32_t stockade_code;
enum stockade_hold_status
 {
    STOCKADE_HOLD_STATUS_UNKNOWN = 0,
    STOCKADE_HOLD_STATUS_ACTIVE = 1,
    STOCKADE_HOLD_STATUS_CONVERTED = 2,
    STOCKADE_HOLD_STATUS_RELEASED = 3,
    STOCKADE_HOLD_STATUS_EXPIRED = 4,
};
typedef uint32_t stockade_hold_status;
enum stockade_off_sale
 {
    STOCKADE_OFF_SALE_UNKNOWN = 0,
    STOCKADE_OFF_SALE_BEFORE = 1,
    STOCKADE_OFF_SALE_SINCE = 2,
    STOCKADE_OFF_SALE_ARCHIVED = 3,
};
typedef uint32_t stockade_off_sale;
enum stockade_event_kind
 {
    STOCKADE_EVENT_KIND_UNKNOWN = 0,
    STOCKADE_EVENT_KIND_HOLD_CREATED = 1,
    STOCKADE_EVENT_KIND_HOLD_RELEASED = 2,
    STOCKADE_EVENT_KIND_HOLD_EXPIRED = 3,
    STOCKADE_EVENT_KIND_HOLD_EXTENDED = 4,
    STOCKADE_EVENT_KIND_ORDER_CREATED = 5,
    STOCKADE_EVENT_KIND_ORDER_PAID = 6,
    STOCKADE_EVENT_KIND_ORDER_CANCELLED = 7,
    STOCKADE_EVENT_KIND_PAYMENT_CONFLICT = 8,
    STOCKADE_EVENT_KIND_PAYMENT_NEEDS_REFUND = 9,
    STOCKADE_EVENT_KIND_STOCK_ADJUSTED = 10,
    STOCKADE_EVENT_KIND_HOLD_CHANGED = 11,
    STOCKADE_EVENT_KIND_ORDER_EXTENDED = 12,
    STOCKADE_EVENT_KIND_ORDER_REFUNDED = 13,
    STOCKADE_EVENT_KIND_ORDER_RESTOCKED = 14,
    STOCKADE_EVENT_KIND_PAYMENT_ATTEMPT_FAILED = 15,
    STOCKADE_EVENT_KIND_PAYMENT_AMOUNT_MISMATCH = 16,
    STOCKADE_EVENT_KIND_PAYMENT_DUPLICATE = 17,
    STOCKADE_EVENT_KIND_PRODUCT_CREATED = 18,
    STOCKADE_EVENT_KIND_PRODUCT_CHANGED = 19,
    STOCKADE_EVENT_KIND_PRODUCT_ARCHIVED = 20,
    STOCKADE_EVENT_KIND_CUSTOMER_ERASED = 21,
    STOCKADE_EVENT_KIND_PAYMENT_DISPUTED = 22,
};
typedef uint32_t stockade_event_kind;
enum stockade_order_status
 {
    STOCKADE_ORDER_STATUS_UNKNOWN = 0,
    STOCKADE_ORDER_STATUS_PENDING_PAYMENT = 1,
    STOCKADE_ORDER_STATUS_PAID = 2,
    STOCKADE_ORDER_STATUS_CANCELLED = 3,
    STOCKADE_ORDER_STATUS_PARTIALLY_REFUNDED = 4,
    STOCKADE_ORDER_STATUS_REFUNDED = 5,
};
typedef uint32_t stockade_order_status;
enum stockade_payment_disposition
 {
    STOCKADE_PAYMENT_DISPOSITION_UNKNOWN = 0,
    STOCKADE_PAYMENT_DISPOSITION_NONE = 1,
    STOCKADE_PAYMENT_DISPOSITION_RE_RESERVED = 2,
    STOCKADE_PAYMENT_DISPOSITION_NEEDS_REFUND = 3,
    STOCKADE_PAYMENT_DISPOSITION_AMOUNT_MISMATCH = 4,
    STOCKADE_PAYMENT_DISPOSITION_REFUNDED = 5,
};
typedef uint32_t stockade_payment_disposition;
enum stockade_log_level
 {
    STOCKADE_LOG_LEVEL_ERROR = 1,
    STOCKADE_LOG_LEVEL_WARN = 2,
    STOCKADE_LOG_LEVEL_INFO = 3,
    STOCKADE_LOG_LEVEL_DEBUG = 4,
};
typedef uint32_t stockade_log_level;
enum stockade_payment_status
 {
    STOCKADE_PAYMENT_STATUS_UNKNOWN = 0,
    STOCKADE_PAYMENT_STATUS_RECORDED = 1,
    STOCKADE_PAYMENT_STATUS_WAITING = 2,
    STOCKADE_PAYMENT_STATUS_APPLIED = 3,
};
typedef uint32_t stockade_payment_status;
enum stockade_outcome
 {
    STOCKADE_OUTCOME_UNKNOWN = 0,
    STOCKADE_OUTCOME_SUCCESS = 1,
    STOCKADE_OUTCOME_FAILURE = 2,
    STOCKADE_OUTCOME_CANCELLED = 3,
    STOCKADE_OUTCOME_NEUTRAL = 4,
    STOCKADE_OUTCOME_DISPUTED = 5,
};
typedef uint32_t stockade_outcome;
typedef struct stockade_audit stockade_audit;
typedef struct stockade_engine stockade_engine;
typedef struct stockade_error stockade_error;
typedef struct stockade_events stockade_events;
typedef struct stockade_hold_page stockade_hold_page;
typedef struct stockade_hold_results stockade_hold_results;
typedef struct stockade_holds stockade_holds;
typedef struct stockade_options stockade_options;
typedef struct stockade_order_lines stockade_order_lines;
typedef struct stockade_order_page stockade_order_page;
typedef struct stockade_products stockade_products;
typedef struct stockade_put_results stockade_put_results;
typedef struct stockade_waiting_payments stockade_waiting_payments;
typedef struct {
    uint32_t struct_size;
    uint32_t consistent;
    uint64_t products;
    int64_t received;
    int64_t stock;
    int64_t held;
    int64_t pending;
    int64_t sold;
    uint64_t waiting_events;
    int64_t oldest_waiting_event_us;
    uint64_t products_due;
    uint64_t findings;
    int64_t returned;
} stockade_audit_summary;
typedef struct {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t id;
    const char *check;
    const char *detail;
} stockade_finding;
typedef struct {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t id;
    char token[40];
} stockade_cart;
typedef struct {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t cart_id;
    const char *token;
} stockade_release_cart_request;
typedef struct {
    uint32_t struct_size;
    uint32_t has_ttl;
    uint64_t cart_id;
    uint64_t ttl_us;
    const char *token;
} stockade_extend_cart_request;
typedef struct {
    uint32_t struct_size;
    uint32_t quantity;
    uint64_t hold_id;
    const char *token;
    const char *key;
} stockade_quantity_request;
typedef struct {
    uint32_t struct_size;
    stockade_hold_status status;
    uint32_t quantity;
    uint32_t reserved;
    uint64_t id;
    uint64_t product_id;
    int64_t expires_at_us;
    int64_t created_at_us;
    char token[40];
    uint64_t order_id;
    uint64_t cart_id;
    char sku[520];
    char customer[256];
    char metadata[4104];
} stockade_hold;
typedef struct {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t holds;
    uint64_t orders;
} stockade_erased;
typedef struct {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t holds_expired;
    uint64_t orders_cancelled;
} stockade_sweep_report;
typedef struct {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t product_id;
    uint64_t requested;
    uint64_t available;
    char sku[520];
} stockade_short_line;
typedef struct {
    uint32_t struct_size;
    stockade_code code;
    uint64_t hold_id;
    uint64_t order_id;
} stockade_unusable_hold;
typedef struct {
    uint32_t struct_size;
    stockade_event_kind kind;
    uint64_t cursor;
    uint64_t product_id;
    uint64_t hold_id;
    uint64_t order_id;
    int64_t quantity;
    uint64_t version;
    int64_t at_us;
    const char *sku;
    const char *customer;
    const char *reason;
    const char *metadata;
    const char *actor;
    const char *reference;
} stockade_event;
typedef struct {
    uint32_t struct_size;
    uint32_t quantity;
    uint64_t product_id;
    uint64_t ttl_us;
    uint32_t has_ttl;
    uint32_t reserved;
    const char *key;
    const char *customer;
    uint64_t at_most;
    const char *sku;
    const char *metadata;
} stockade_hold_request;
typedef struct {
    uint64_t product_id;
    uint32_t quantity;
    uint32_t at_most;
    const char *sku;
} stockade_cart_line;
typedef struct {
    uint32_t struct_size;
    uint32_t has_ttl;
    uint64_t ttl_us;
    const stockade_cart_line *lines;
    uint64_t line_count;
    const char *key;
    const char *customer;
    const char *metadata;
} stockade_cart_request;
typedef struct {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t hold_id;
    const char *token;
} stockade_release_request;
typedef struct {
    uint32_t struct_size;
    uint32_t has_ttl;
    uint64_t hold_id;
    uint64_t ttl_us;
    const char *token;
} stockade_extend_request;
typedef struct {
    uint32_t struct_size;
    uint32_t limit;
    uint64_t after;
    uint64_t product_id;
    const char *sku;
    const char *customer;
    int64_t created_after_us;
    int64_t created_before_us;
    uint32_t status;
    uint32_t reserved;
} stockade_hold_query;
typedef struct {
    uint32_t struct_size;
    uint32_t limit;
    uint64_t after;
    uint64_t product_id;
    const char *sku;
    const char *customer;
    int64_t created_after_us;
    int64_t created_before_us;
    uint32_t status;
    uint32_t disposition;
    const char *reference;
    const char *payment_reference;
} stockade_order_query;
typedef struct {
    uint32_t struct_size;
    stockade_order_status status;
    uint32_t quantity;
    stockade_payment_disposition payment_disposition;
    uint64_t id;
    uint64_t hold_id;
    uint64_t product_id;
    int64_t created_at_us;
    int64_t updated_at_us;
    char payment_token[64];
    int64_t amount_minor;
    int64_t refunded_minor;
    int64_t pay_until_us;
    uint64_t line_count;
    char currency[8];
    char amount[32];
    char refunded_amount[32];
    char reference[520];
    char customer[256];
    char metadata[4104];
    char created_by[256];
} stockade_order;
typedef void (*stockade_log_function)(stockade_log_level level,
                                      const char *target,
                                      const char *message,
                                      void *context);
typedef struct {
    uint64_t hold_id;
    uint64_t product_id;
    const char *token;
    const char *sku;
} stockade_ordered_hold;
typedef struct {
    uint32_t struct_size;
    uint32_t has_payment_ttl;
    uint64_t hold_id;
    uint64_t product_id;
    const char *key;
    const char *token;
    const stockade_ordered_hold *holds;
    uint64_t hold_count;
    const char *amount;
    const char *currency;
    const char *reference;
    uint64_t payment_ttl_us;
    uint64_t cart_id;
    const char *sku;
    const char *metadata;
} stockade_order_request;
typedef struct {
    uint32_t struct_size;
    uint32_t has_ttl;
    uint64_t order_id;
    uint64_t ttl_us;
} stockade_order_extension;
typedef struct {
    uint32_t line;
    uint32_t quantity;
} stockade_line_units;
typedef struct {
    uint32_t struct_size;
    uint32_t restock;
    uint32_t owed;
    uint32_t reserved;
    uint64_t order_id;
    const stockade_line_units *lines;
    uint64_t line_count;
    const char *amount;
    const char *reason;
    const char *key;
} stockade_refund_request;
typedef struct {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t order_id;
    const stockade_line_units *lines;
    uint64_t line_count;
    const char *key;
} stockade_restock_request;
typedef struct {
    uint32_t struct_size;
    uint32_t line;
    uint32_t quantity;
    uint32_t refunded;
    uint32_t returned;
    uint32_t reserved;
    uint64_t hold_id;
    uint64_t product_id;
    int64_t price_minor;
    char price[32];
    char sku[520];
} stockade_order_line;
typedef struct {
    uint32_t struct_size;
    uint32_t has_order_id;
    uint64_t order_id;
    const char *payment_token;
    const char *status;
    const char *key;
    const char *amount;
    const char *currency;
    const char *payment_reference;
    const char *order_reference;
} stockade_payment_event;
typedef struct {
    uint32_t struct_size;
    uint32_t has_id;
    const char *name;
    int64_t price_minor;
    uint64_t stock;
    const char *key;
    uint64_t id;
    const char *sku;
    const char *price;
    const char *currency;
    const char *metadata;
    int64_t on_sale_from_us;
    int64_t on_sale_until_us;
    uint64_t safety_stock;
} stockade_new_product;
typedef struct {
    uint32_t struct_size;
    uint32_t archived;
    uint64_t id;
    int64_t price_minor;
    uint64_t stock;
    uint64_t held;
    uint64_t pending;
    uint64_t sold;
    uint64_t version;
    char name[1024];
    uint64_t returned;
    uint64_t in_stock;
    uint64_t safety_stock;
    int64_t on_sale_from_us;
    int64_t on_sale_until_us;
    char currency[8];
    char price[32];
    char sku[520];
    char metadata[4104];
} stockade_product;
typedef struct {
    uint32_t struct_size;
    uint32_t has_stock;
    uint64_t product_id;
    const char *product_sku;
    const char *name;
    const char *price;
    const char *currency;
    const char *sku;
    const char *metadata;
    int64_t on_sale_from_us;
    int64_t on_sale_until_us;
    uint64_t safety_stock;
    uint64_t stock;
    uint64_t version;
} stockade_product_put;
typedef struct {
    uint32_t struct_size;
    uint32_t has_stock;
    uint64_t product_id;
    const char *product_sku;
    const char *name;
    const char *price;
    const char *currency;
    const char *sku;
    const char *metadata;
    uint32_t has_on_sale_from;
    uint32_t has_on_sale_until;
    int64_t on_sale_from_us;
    int64_t on_sale_until_us;
    uint32_t has_safety_stock;
    uint32_t has_archived;
    uint64_t safety_stock;
    uint64_t archived;
    uint64_t stock;
    uint64_t version;
} stockade_product_change;
typedef struct {
    uint32_t struct_size;
    uint32_t has_to;
    uint64_t product_id;
    int64_t delta;
    const char *reason;
    const char *key;
    uint64_t version;
    const char *sku;
    uint64_t to;
} stockade_stock_adjustment;
typedef struct {
    uint32_t struct_size;
    stockade_outcome outcome;
    uint64_t order_id;
    uint64_t by_token;
    int64_t received_at_us;
    int64_t ends_at_us;
    char key[264];
    char amount[32];
    char currency[8];
    char payment_reference[256];
    char order_reference[520];
} stockade_waiting_payment;
stockade_code stockade_engine_audit(const stockade_engine *engine,
                                    stockade_audit **audit,
                                    stockade_error **error);
stockade_code stockade_audit_read(const stockade_audit *audit,
                                  stockade_audit_summary *summary,
                                  stockade_error **error);
stockade_code stockade_audit_finding(const stockade_audit *audit,
                                     size_t index,
                                     stockade_finding *finding,
                                     stockade_error **error);
void stockade_audit_free(stockade_audit *audit);
stockade_code stockade_holds_cart(const stockade_holds *holds,
                                  stockade_cart *cart,
                                  stockade_error **error);
stockade_code stockade_engine_cart(const stockade_engine *engine,
                                   uint64_t id,
                                   stockade_holds **holds,
                                   stockade_error **error);
stockade_code stockade_engine_release_cart(const stockade_engine *engine,
                                           const stockade_release_cart_request *request,
                                           stockade_holds **holds,
                                           stockade_error **error);
stockade_code stockade_engine_extend_cart(const stockade_engine *engine,
                                          const stockade_extend_cart_request *request,
                                          stockade_holds **holds,
                                          stockade_error **error);
stockade_code stockade_engine_change_quantity(const stockade_engine *engine,
                                              const stockade_quantity_request *request,
                                              stockade_hold *hold,
                                              bool *replayed,
                                              stockade_error **error);
const char *stockade_code_name(uint32_t code);
stockade_code stockade_engine_erase_customer(const stockade_engine *engine,
                                             const char *customer,
                                             stockade_erased *erased,
                                             stockade_error **error);
stockade_code stockade_engine_open(const char *store,
                                   stockade_engine **engine,
                                   stockade_error **error);
stockade_code stockade_engine_open_with(const stockade_options *options,
                                        stockade_engine **engine,
                                        stockade_error **error);
stockade_code stockade_engine_open_shared(const stockade_options *options,
                                          stockade_engine **engine,
                                          stockade_error **error);
stockade_code stockade_engine_acting_as(const stockade_engine *engine,
                                        const char *name,
                                        stockade_engine **acting,
                                        stockade_error **error);
stockade_code stockade_engine_close(const stockade_engine *engine, stockade_error **error);
void stockade_engine_free(stockade_engine *engine);
stockade_code stockade_engine_ping(const stockade_engine *engine, stockade_error **error);
stockade_code stockade_engine_sweep(const stockade_engine *engine,
                                    stockade_sweep_report *report,
                                    stockade_error **error);
stockade_code stockade_engine_advance_clock(const stockade_engine *engine,
                                            uint64_t by_us,
                                            int64_t *now_us,
                                            stockade_error **error);
stockade_code stockade_engine_metrics_text(const stockade_engine *engine,
                                           char **text,
                                           stockade_error **error);
stockade_code stockade_error_code(const stockade_error *error);
const char *stockade_error_message(const stockade_error *error);
bool stockade_error_available(const stockade_error *error, uint64_t *available);
size_t stockade_error_short_count(const stockade_error *error);
bool stockade_error_short_line(const stockade_error *error,
                               size_t index,
                               stockade_short_line *line);
size_t stockade_error_hold_count(const stockade_error *error);
bool stockade_error_hold(const stockade_error *error, size_t index, stockade_unusable_hold *hold);
bool stockade_error_order_id(const stockade_error *error, uint64_t *order_id);
bool stockade_error_product_id(const stockade_error *error, uint64_t *product_id);
bool stockade_error_off_sale(const stockade_error *error,
                             stockade_off_sale *why,
                             int64_t *moment_us);
bool stockade_error_replayed(const stockade_error *error);
uint64_t stockade_error_retry_after_ms(const stockade_error *error);
void stockade_error_free(stockade_error *error);
stockade_code stockade_engine_events_after(const stockade_engine *engine,
                                           uint64_t cursor,
                                           uint32_t limit,
                                           stockade_events **events,
                                           stockade_error **error);
size_t stockade_events_count(const stockade_events *events);
stockade_code stockade_events_get(const stockade_events *events,
                                  size_t index,
                                  stockade_event *event,
                                  stockade_error **error);
void stockade_events_free(stockade_events *events);
const char *stockade_event_kind_name(uint32_t kind);
stockade_code stockade_engine_create_hold_batch(const stockade_engine *engine,
                                                const stockade_hold_request *requests,
                                                uint64_t count,
                                                stockade_hold_results **results,
                                                stockade_error **error);
size_t stockade_hold_results_count(const stockade_hold_results *results);
stockade_code stockade_hold_results_get(const stockade_hold_results *results,
                                        size_t index,
                                        stockade_hold *hold,
                                        bool *replayed,
                                        stockade_error **error);
void stockade_hold_results_free(stockade_hold_results *results);
stockade_code stockade_engine_create_hold(const stockade_engine *engine,
                                          const stockade_hold_request *request,
                                          stockade_hold *hold,
                                          bool *replayed,
                                          stockade_error **error);
stockade_code stockade_engine_create_holds(const stockade_engine *engine,
                                           const stockade_cart_request *request,
                                           stockade_holds **holds,
                                           bool *replayed,
                                           stockade_error **error);
size_t stockade_holds_count(const stockade_holds *holds);
stockade_code stockade_holds_get(const stockade_holds *holds,
                                 size_t index,
                                 stockade_hold *hold,
                                 stockade_error **error);
void stockade_holds_free(stockade_holds *holds);
stockade_code stockade_engine_release_hold(const stockade_engine *engine,
                                           uint64_t id,
                                           stockade_hold *hold,
                                           stockade_error **error);
stockade_code stockade_engine_release_hold_with(const stockade_engine *engine,
                                                const stockade_release_request *request,
                                                stockade_hold *hold,
                                                stockade_error **error);
stockade_code stockade_engine_extend_hold(const stockade_engine *engine,
                                          const stockade_extend_request *request,
                                          stockade_hold *hold,
                                          stockade_error **error);
stockade_code stockade_engine_hold(const stockade_engine *engine,
                                   uint64_t id,
                                   stockade_hold *hold,
                                   stockade_error **error);
const char *stockade_hold_status_name(uint32_t status);
stockade_code stockade_engine_holds(const stockade_engine *engine,
                                    const stockade_hold_query *query,
                                    stockade_hold_page **page,
                                    stockade_error **error);
size_t stockade_hold_page_count(const stockade_hold_page *page);
stockade_code stockade_hold_page_get(const stockade_hold_page *page,
                                     size_t index,
                                     stockade_hold *hold,
                                     stockade_error **error);
uint64_t stockade_hold_page_next(const stockade_hold_page *page);
void stockade_hold_page_free(stockade_hold_page *page);
stockade_code stockade_engine_orders(const stockade_engine *engine,
                                     const stockade_order_query *query,
                                     stockade_order_page **page,
                                     stockade_error **error);
size_t stockade_order_page_count(const stockade_order_page *page);
stockade_code stockade_order_page_get(const stockade_order_page *page,
                                      size_t index,
                                      stockade_order *order,
                                      stockade_order_lines **lines,
                                      stockade_error **error);
uint64_t stockade_order_page_next(const stockade_order_page *page);
void stockade_order_page_free(stockade_order_page *page);
stockade_code stockade_set_log(stockade_log_function function,
                               uint32_t level,
                               void *context,
                               stockade_error **error);
stockade_code stockade_id_from_text(const char *text, uint64_t *id, stockade_error **error);
stockade_code stockade_quantity_from_text(const char *text,
                                          uint32_t *quantity,
                                          stockade_error **error);
stockade_code stockade_price_from_text(const char *text, int64_t *minor, stockade_error **error);
stockade_code stockade_time_from_text(const char *text, int64_t *micros, stockade_error **error);
stockade_code stockade_options_new(stockade_options **options, stockade_error **error);
stockade_code stockade_options_set(stockade_options *options,
                                   const char *name,
                                   const char *value,
                                   stockade_error **error);
void stockade_options_free(stockade_options *options);
stockade_code stockade_engine_create_order(const stockade_engine *engine,
                                           const stockade_order_request *request,
                                           stockade_order *order,
                                           stockade_order_lines **lines,
                                           bool *replayed,
                                           stockade_error **error);
stockade_code stockade_engine_extend_order(const stockade_engine *engine,
                                           const stockade_order_extension *request,
                                           stockade_order *order,
                                           stockade_order_lines **lines,
                                           stockade_error **error);
stockade_code stockade_engine_cancel_order(const stockade_engine *engine,
                                           uint64_t id,
                                           const char *reason,
                                           stockade_order *order,
                                           stockade_order_lines **lines,
                                           stockade_error **error);
stockade_code stockade_engine_refund_order(const stockade_engine *engine,
                                           const stockade_refund_request *request,
                                           stockade_order *order,
                                           stockade_order_lines **lines,
                                           bool *replayed,
                                           stockade_error **error);
stockade_code stockade_engine_restock_order(const stockade_engine *engine,
                                            const stockade_restock_request *request,
                                            stockade_order *order,
                                            stockade_order_lines **lines,
                                            bool *replayed,
                                            stockade_error **error);
stockade_code stockade_engine_set_payment_reference(const stockade_engine *engine,
                                                    uint64_t id,
                                                    const char *provider,
                                                    const char *reference,
                                                    stockade_order *order,
                                                    stockade_order_lines **lines,
                                                    stockade_error **error);
stockade_code stockade_engine_order(const stockade_engine *engine,
                                    uint64_t id,
                                    stockade_order *order,
                                    stockade_order_lines **lines,
                                    stockade_error **error);
stockade_code stockade_engine_order_by_reference(const stockade_engine *engine,
                                                 const char *reference,
                                                 stockade_order *order,
                                                 stockade_order_lines **lines,
                                                 stockade_error **error);
stockade_code stockade_engine_order_by_payment(const stockade_engine *engine,
                                               const char *provider,
                                               const char *reference,
                                               stockade_order *order,
                                               stockade_order_lines **lines,
                                               stockade_error **error);
size_t stockade_order_lines_count(const stockade_order_lines *lines);
stockade_code stockade_order_lines_get(const stockade_order_lines *lines,
                                       size_t index,
                                       stockade_order_line *line,
                                       stockade_error **error);
void stockade_order_lines_free(stockade_order_lines *lines);
const char *stockade_order_status_name(uint32_t status);
const char *stockade_payment_disposition_name(uint32_t disposition);
stockade_code stockade_engine_record_payment(const stockade_engine *engine,
                                             const stockade_payment_event *request,
                                             stockade_payment_status *status,
                                             bool *replayed,
                                             stockade_error **error);
const char *stockade_payment_status_name(uint32_t status);
stockade_code stockade_engine_create_product(const stockade_engine *engine,
                                             const stockade_new_product *request,
                                             stockade_product *product,
                                             bool *replayed,
                                             stockade_error **error);
stockade_code stockade_engine_put_product(const stockade_engine *engine,
                                          const stockade_product_put *request,
                                          stockade_product *product,
                                          bool *created,
                                          stockade_error **error);
stockade_code stockade_engine_change_product(const stockade_engine *engine,
                                             const stockade_product_change *request,
                                             stockade_product *product,
                                             stockade_error **error);
stockade_code stockade_engine_adjust_stock(const stockade_engine *engine,
                                           const stockade_stock_adjustment *request,
                                           stockade_product *product,
                                           bool *replayed,
                                           stockade_error **error);
stockade_code stockade_engine_put_products(const stockade_engine *engine,
                                           const stockade_product_put *requests,
                                           uint64_t count,
                                           stockade_put_results **results,
                                           stockade_error **error);
size_t stockade_put_results_count(const stockade_put_results *results);
stockade_code stockade_put_results_get(const stockade_put_results *results,
                                       size_t index,
                                       stockade_product *product,
                                       bool *created,
                                       stockade_error **error);
void stockade_put_results_free(stockade_put_results *results);
stockade_code stockade_engine_product(const stockade_engine *engine,
                                      uint64_t id,
                                      stockade_product *product,
                                      stockade_error **error);
stockade_code stockade_engine_product_by_sku(const stockade_engine *engine,
                                             const char *sku,
                                             stockade_product *product,
                                             stockade_error **error);
stockade_code stockade_engine_products(const stockade_engine *engine,
                                       uint64_t after,
                                       uint32_t limit,
                                       stockade_products **products,
                                       stockade_error **error);
size_t stockade_products_count(const stockade_products *products);
stockade_code stockade_products_get(const stockade_products *products,
                                    size_t index,
                                    stockade_product *product,
                                    stockade_error **error);
uint64_t stockade_products_next(const stockade_products *products);
void stockade_products_free(stockade_products *products);
void stockade_string_free(char *text);
uint32_t stockade_abi_version(void);
const char *stockade_version(void);
stockade_code stockade_engine_waiting_payments(const stockade_engine *engine,
                                               const char *after,
                                               uint32_t limit,
                                               stockade_waiting_payments **payments,
                                               stockade_error **error);
size_t stockade_waiting_payments_count(const stockade_waiting_payments *payments);
stockade_code stockade_waiting_payments_get(const stockade_waiting_payments *payments,
                                            size_t index,
                                            stockade_waiting_payment *payment,
                                            stockade_error **error);
const char *stockade_waiting_payments_next(const stockade_waiting_payments *payments);
void stockade_waiting_payments_free(stockade_waiting_payments *payments);
stockade_code stockade_engine_remove_waiting_payment(const stockade_engine *engine,
                                                     const char *key,
                                                     stockade_waiting_payment *payment,
                                                     stockade_error **error);
const char *stockade_outcome_name(uint32_t outcome);

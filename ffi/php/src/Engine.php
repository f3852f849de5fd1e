<?php

declare(strict_types=1);

namespace Stockade;

use FFI;
use SensitiveParameter;
use Stockade\Native\Arguments;
use Stockade\Native\Call;
use Stockade\Native\Handle;
use Stockade\Native\Opener;
use Stockade\Native\Reader;

/**
 * The engine. Every error is a {@see Exception\StockadeException} with a
 * class per code.
 *
 * Ids and quantities may be numbers or request texts: "2abc" is
 * rejected as invalid_argument. A ttl is in seconds.
 */
final class Engine
{
    private function __construct(private readonly Handle $handle)
    {
    }

    /**
     * Opens an engine on a store: "sqlite:FILE", "sqlite::memory:" or
     * "mysql://USER@HOST/DATABASE", or a running engine, "unix:///SOCKET" or
     * "http://:KEY@HOST:PORT". It is closed with this object.
     *
     * @param array<string, string|int|bool> $settings by name, such as
     *     ['redis' => 'redis://127.0.0.1', 'hold_ttl' => '60s']; a running
     *     engine has its own
     */
    public static function open(
        #[SensitiveParameter] string $store,
        #[SensitiveParameter] array $settings = [],
    ): self {
        return new self(Opener::open($store, $settings, false));
    }

    /**
     * Returns this process's shared engine with these settings: opened by the first request
     * of a worker, and kept open with its connections for later ones.
     *
     * @param array<string, string|int|bool> $settings as in {@see Engine::open()}
     */
    public static function shared(
        #[SensitiveParameter] string $store,
        #[SensitiveParameter] array $settings = [],
    ): self {
        return new self(Opener::open($store, $settings, true));
    }

    /** Not clonable: the handle is freed once. */
    private function __clone()
    {
    }

    /** Closes the engine. Objects destroyed later find it closed. */
    public function __destruct()
    {
        if (isset($this->handle)) {
            $this->handle->close();
        }
    }

    /**
     * The output of var_dump: no pointer and no secret.
     *
     * @return array<string, bool>
     */
    public function __debugInfo(): array
    {
        return ['closed' => !isset($this->handle) || $this->handle->isClosed()];
    }

    /** Reads a product, from the cache if the entry is fresh. */
    public function product(int|string|float|bool $id): Product
    {
        $call = new Call($this->handle);
        $product = $call->struct('stockade_product');
        $call->check($call->ffi->stockade_engine_product(
            $call->engine,
            Arguments::id('id', $id),
            FFI::addr($product),
            $call->errorOut
        ));
        return (new Reader($call))->product($product);
    }

    /** Reads up to $limit (1 to 1000) products with ids above $after. */
    public function products(int|string|float|bool $after = 0, int|string|float|bool $limit = 100): ProductPage
    {
        $call = new Call($this->handle);
        $page = $call->make('stockade_products *');
        $call->check($call->ffi->stockade_engine_products(
            $call->engine,
            Arguments::id('after', $after),
            Arguments::limit($limit),
            FFI::addr($page),
            $call->errorOut
        ));
        try {
            return (new Reader($call))->products($page);
        } finally {
            $call->ffi->stockade_products_free($page);
        }
    }

    /**
     * Creates a product; its price is an exact decimal such as "19.99".
     *
     * @param ?string $key the idempotency key: a repeated key returns the same product
     */
    public function createProduct(
        string $name,
        int|string|float|bool $price,
        int|string|float|bool $stock,
        ?string $key = null,
    ): Product {
        $call = new Call($this->handle);
        $request = $call->struct('stockade_new_product');
        $request->key = $call->text('key', $key);
        $request->price_minor = Arguments::price($price);
        $request->stock = Arguments::whole('stock', $stock, 0);
        $request->name = $call->text('name', $name);
        $product = $call->struct('stockade_product');
        $call->check($call->ffi->stockade_engine_create_product(
            $call->engine,
            FFI::addr($request),
            FFI::addr($product),
            $call->errorOut
        ));
        return (new Reader($call))->product($product);
    }

    /**
     * Adjusts stock: receives goods, or writes them off if $delta is negative.
     *
     * @param ?string $key the idempotency key: a repeated key replays the first response
     * @param int|string|float|bool|null $version the version that the caller
     *     expects: another one is rejected with VersionMismatch
     */
    public function adjustStock(
        int|string|float|bool $productId,
        int|string|float|bool $delta,
        string $reason,
        ?string $key = null,
        int|string|float|bool|null $version = null,
    ): Product {
        $call = new Call($this->handle);
        $request = $call->struct('stockade_stock_adjustment');
        $request->product_id = Arguments::id('product_id', $productId);
        $request->delta = Arguments::whole('delta', $delta);
        $request->reason = $call->text('reason', $reason);
        $request->key = $call->text('key', $key);
        $request->version = $version === null ? 0 : Arguments::id('version', $version);
        $product = $call->struct('stockade_product');
        $call->check($call->ffi->stockade_engine_adjust_stock(
            $call->engine,
            FFI::addr($request),
            FFI::addr($product),
            $call->errorOut
        ));
        return (new Reader($call))->product($product);
    }

    /**
     * Holds units of one product for a limited time.
     *
     * @param ?string $customer the customer, any identifier of
     *     1 to 255 bytes; under the setting max_per_customer
     *     the holds of one customer count together
     */
    public function createHold(
        int|string|float|bool $productId,
        int|string|float|bool $quantity,
        int|float|string|bool|null $ttl = null,
        ?string $key = null,
        ?string $customer = null,
    ): Hold {
        $life = Arguments::ttl($ttl);
        $call = new Call($this->handle);
        $request = $call->struct('stockade_hold_request');
        $request->product_id = Arguments::id('product_id', $productId);
        $request->quantity = Arguments::quantity($quantity);
        [$request->has_ttl, $request->ttl_us] = [$life === null ? 0 : 1, $life ?? 0];
        $request->key = $call->text('key', $key);
        $request->customer = $call->text('customer', $customer);
        $hold = $call->struct('stockade_hold');
        $call->check($call->ffi->stockade_engine_create_hold(
            $call->engine,
            FFI::addr($request),
            FFI::addr($hold),
            $call->replayedOut(),
            $call->errorOut
        ));
        return (new Reader($call))->hold($hold, $call->replayed());
    }

    /**
     * Holds several products atomically: all or none.
     *
     * @param iterable<array{0: int|string, 1: int|string}> $lines product id
     *     and quantity of each line; lines of the same product are summed
     * @param ?string $customer as in createHold()
     */
    public function createHolds(
        iterable $lines,
        int|float|string|bool|null $ttl = null,
        ?string $key = null,
        ?string $customer = null,
    ): Cart {
        $life = Arguments::ttl($ttl);
        $read = Arguments::lines($lines);
        $call = new Call($this->handle);
        $count = count($read);
        // C has no arrays of zero elements.
        $array = $call->ffi->new('stockade_cart_line[' . max(1, $count) . ']');
        foreach ($read as $index => [$productId, $quantity]) {
            $array[$index]->product_id = $productId;
            $array[$index]->quantity = $quantity;
        }
        $request = $call->struct('stockade_cart_request');
        $request->lines = FFI::addr($array[0]);
        $request->line_count = $count;
        [$request->has_ttl, $request->ttl_us] = [$life === null ? 0 : 1, $life ?? 0];
        $request->key = $call->text('key', $key);
        $request->customer = $call->text('customer', $customer);
        $holds = $call->make('stockade_holds *');
        $call->check($call->ffi->stockade_engine_create_holds(
            $call->engine,
            FFI::addr($request),
            FFI::addr($holds),
            $call->replayedOut(),
            $call->errorOut
        ));
        try {
            return new Cart((new Reader($call))->holds($holds), $call->replayed());
        } finally {
            $call->ffi->stockade_holds_free($holds);
        }
    }

    /**
     * Creates many holds by one call, each on its own, and waits once for all
     * of them. An invalid request costs only itself.
     *
     * @param iterable<HoldRequest> $requests at most 65,536
     * @return list<HoldResult> one for each request, in the same order: a hold,
     *     or an exception that is not thrown
     */
    public function createHoldBatch(iterable $requests): array
    {
        $read = Arguments::holdRequests($requests);
        $call = new Call($this->handle);
        $valid = array_values(array_filter($read, is_array(...)));
        $count = count($valid);
        // C has no arrays of zero elements.
        $array = $call->ffi->new('stockade_hold_request[' . max(1, $count) . ']');
        $size = FFI::sizeof($array[0]);
        foreach ($valid as $index => [$productId, $quantity, $life, $key, $customer]) {
            $request = $array[$index];
            $request->struct_size = $size;
            $request->product_id = $productId;
            $request->quantity = $quantity;
            [$request->has_ttl, $request->ttl_us] = [$life === null ? 0 : 1, $life ?? 0];
            $request->key = $call->text('key', $key);
            $request->customer = $call->text('customer', $customer);
        }
        $results = $call->make('stockade_hold_results *');
        $call->check($call->ffi->stockade_engine_create_hold_batch(
            $call->engine,
            FFI::addr($array[0]),
            $count,
            FFI::addr($results),
            $call->errorOut
        ));
        try {
            $made = (new Reader($call))->holdResults($results);
        } finally {
            $call->ffi->stockade_hold_results_free($results);
        }
        $all = [];
        $next = 0;
        foreach ($read as $request) {
            $all[] = is_array($request) ? $made[$next++] : HoldResult::refused($request);
        }
        return $all;
    }

    /**
     * Releases a hold. One that is released or expired already is not changed.
     *
     * @param ?string $token the hold's token; an invalid one
     *     is rejected, and a missing one under the setting require_hold_token
     */
    public function releaseHold(
        int|string|float|bool $holdId,
        #[SensitiveParameter] ?string $token = null,
    ): Hold {
        $call = new Call($this->handle);
        $request = $call->struct('stockade_release_request');
        $request->hold_id = Arguments::id('hold_id', $holdId);
        $request->token = $call->text('token', $token);
        $hold = $call->struct('stockade_hold');
        $call->check($call->ffi->stockade_engine_release_hold_with(
            $call->engine,
            FFI::addr($request),
            FFI::addr($hold),
            $call->errorOut
        ));
        return (new Reader($call))->hold($hold, false);
    }

    /**
     * Extends an active hold to $ttl seconds from now; never shortens it.
     *
     * @param ?string $token as in releaseHold()
     */
    public function extendHold(
        int|string|float|bool $holdId,
        int|float|string|bool|null $ttl = null,
        #[SensitiveParameter] ?string $token = null,
    ): Hold {
        $life = Arguments::ttl($ttl);
        $call = new Call($this->handle);
        $request = $call->struct('stockade_extend_request');
        $request->hold_id = Arguments::id('hold_id', $holdId);
        [$request->has_ttl, $request->ttl_us] = [$life === null ? 0 : 1, $life ?? 0];
        $request->token = $call->text('token', $token);
        $hold = $call->struct('stockade_hold');
        $call->check($call->ffi->stockade_engine_extend_hold(
            $call->engine,
            FFI::addr($request),
            FFI::addr($hold),
            $call->errorOut
        ));
        return (new Reader($call))->hold($hold, false);
    }

    /** Reads the current state of a hold. */
    public function hold(int|string|float|bool $id): Hold
    {
        $call = new Call($this->handle);
        $hold = $call->struct('stockade_hold');
        $call->check($call->ffi->stockade_engine_hold(
            $call->engine,
            Arguments::id('id', $id),
            FFI::addr($hold),
            $call->errorOut
        ));
        return (new Reader($call))->hold($hold, false);
    }

    /**
     * Turns an active hold into an order.
     *
     * @param ?string $token as in releaseHold()
     */
    public function createOrder(
        int|string|float|bool $holdId,
        int|string|float|bool $productId,
        ?string $key = null,
        #[SensitiveParameter] ?string $token = null,
    ): Order {
        $call = new Call($this->handle);
        $request = $call->struct('stockade_order_request');
        $request->hold_id = Arguments::id('hold_id', $holdId);
        $request->product_id = Arguments::id('product_id', $productId);
        $request->key = $call->text('key', $key);
        $request->token = $call->text('token', $token);
        $order = $call->struct('stockade_order');
        $call->check($call->ffi->stockade_engine_create_order(
            $call->engine,
            FFI::addr($request),
            FFI::addr($order),
            $call->replayedOut(),
            $call->errorOut
        ));
        return (new Reader($call))->order($order, $call->replayed());
    }

    /** Reads the current state of an order. */
    public function order(int|string|float|bool $id): Order
    {
        $call = new Call($this->handle);
        $order = $call->struct('stockade_order');
        $call->check($call->ffi->stockade_engine_order(
            $call->engine,
            Arguments::id('id', $id),
            FFI::addr($order),
            $call->errorOut
        ));
        return (new Reader($call))->order($order, false);
    }

    /**
     * Applies a payment provider's event to its order, named by its id, its payment
     * token, or both; once per key however often it is delivered.
     *
     * @param string $status the provider's status: success, paid, failed, cancelled, …
     * @param ?string $body the body of the webhook; a key that is reused with
     *     another body is rejected
     */
    public function recordPayment(
        string $status,
        int|string|float|bool|null $orderId = null,
        #[SensitiveParameter] ?string $paymentToken = null,
        ?string $key = null,
        ?string $body = null,
    ): PaymentReceipt {
        $call = new Call($this->handle);
        $event = $call->struct('stockade_payment_event');
        $event->has_order_id = $orderId === null ? 0 : 1;
        $event->order_id = $orderId === null ? 0 : Arguments::id('order_id', $orderId);
        $event->payment_token = $call->text('payment_token', $paymentToken);
        $event->status = $call->text('status', $status);
        $event->key = $call->text('key', $key);
        // One extra byte, so that an empty body is not NULL.
        $bytes = $body === null ? null : $call->bytes($body . "\0");
        $event->body = $bytes === null ? null : $call->ffi->cast('uint8_t *', $bytes);
        $event->body_length = strlen($body ?? '');
        $written = $call->make('stockade_payment_status');
        $call->check($call->ffi->stockade_engine_record_payment(
            $call->engine,
            FFI::addr($event),
            FFI::addr($written),
            $call->replayedOut(),
            $call->errorOut
        ));
        $word = $call->ffi->stockade_payment_status_name($written->cdata);
        return new PaymentReceipt(PaymentStatus::from($word), $call->replayed());
    }

    /** Expires all due holds and unpaid orders now. */
    public function sweep(): SweepReport
    {
        $call = new Call($this->handle);
        $report = $call->struct('stockade_sweep_report');
        $call->check($call->ffi->stockade_engine_sweep(
            $call->engine,
            FFI::addr($report),
            $call->errorOut
        ));
        return new SweepReport($report->holds_expired, $report->orders_cancelled);
    }

    /** Checks the consistency of all stock. */
    public function audit(): AuditReport
    {
        $call = new Call($this->handle);
        $audit = $call->make('stockade_audit *');
        $call->check($call->ffi->stockade_engine_audit(
            $call->engine,
            FFI::addr($audit),
            $call->errorOut
        ));
        try {
            return (new Reader($call))->audit($audit);
        } finally {
            $call->ffi->stockade_audit_free($audit);
        }
    }

    /**
     * Reads up to $limit (1 to 10000) events after $cursor, 0 for the beginning.
     *
     * @return list<Event>
     */
    public function eventsAfter(int|string|float|bool $cursor = 0, int|string|float|bool $limit = 1000): array
    {
        $call = new Call($this->handle);
        $events = $call->make('stockade_events *');
        $call->check($call->ffi->stockade_engine_events_after(
            $call->engine,
            Arguments::whole('cursor', $cursor, 0),
            Arguments::limit($limit),
            FFI::addr($events),
            $call->errorOut
        ));
        try {
            return (new Reader($call))->events($events);
        } finally {
            $call->ffi->stockade_events_free($events);
        }
    }

    /** Checks that the store is reachable. */
    public function ping(): void
    {
        $call = new Call($this->handle);
        $call->check(
            $call->ffi->stockade_engine_ping($call->engine, $call->errorOut)
        );
    }

    /** Returns the engine's metrics as OpenMetrics text, without the final "# EOF". */
    public function metricsText(): string
    {
        $call = new Call($this->handle);
        $text = $call->make('char *');
        $call->check($call->ffi->stockade_engine_metrics_text(
            $call->engine,
            FFI::addr($text),
            $call->errorOut
        ));
        try {
            return FFI::string($text);
        } finally {
            $call->ffi->stockade_string_free($text);
        }
    }

    /** Closes the engine; a shared one stays open for later requests. */
    public function close(): void
    {
        if ($this->handle->isClosed()) {
            return;
        }
        $call = new Call($this->handle);
        $call->check($call->ffi->stockade_engine_close($call->engine, $call->errorOut));
        // Freed when this call and enclosing ones return.
        $this->handle->close();
    }
}

<?php

declare(strict_types=1);

namespace Stockade;

use FFI;
use FFI\CData;
use Stockade\Exception\Misuse;
use Stockade\Native\Border;
use Stockade\Native\Reader;

/**
 * The engine. Every failure is a {@see Exception\StockadeException} with a
 * class for its code.
 *
 * Ids and quantities may be numbers or texts as a request has them: "2abc" is
 * refused as invalid_argument. A ttl is in seconds.
 */
final class Engine
{
    private readonly Border $border;
    private readonly Reader $reader;
    private readonly FFI $ffi;
    /** Whether an answer was remembered, and its address. */
    private readonly CData $replayed;
    private readonly CData $replayedPlace;

    private function __construct(Border $border, private ?CData $handle)
    {
        $this->border = $border;
        $this->reader = new Reader($border);
        $this->ffi = $border->ffi;
        $this->replayed = $this->ffi->new('bool');
        $this->replayedPlace = FFI::addr($this->replayed);
    }

    /**
     * Opens an engine on a store: "sqlite:FILE", "sqlite::memory:" or
     * "mysql://USER@HOST/DATABASE", or a running engine, "unix:///SOCKET" or
     * "http://:KEY@HOST:PORT". It ends with this object.
     *
     * @param array<string, string|int|bool> $settings by name, such as
     *     ['redis' => 'redis://127.0.0.1', 'hold_ttl' => '60s']; a running
     *     engine has its own
     */
    public static function open(string $store, array $settings = []): self
    {
        return self::with($store, $settings, false);
    }

    /**
     * This process's engine with these settings: opened by the first request
     * of a worker, and kept with its connections for the ones that follow.
     *
     * @param array<string, string|int|bool> $settings as of {@see Engine::open()}
     */
    public static function shared(string $store, array $settings = []): self
    {
        return self::with($store, $settings, true);
    }

    /** The handle is freed once. */
    private function __clone()
    {
    }

    public function __destruct()
    {
        if ($this->handle !== null) {
            $this->ffi->stockade_engine_free($this->handle);
        }
    }

    /** Reads a product, from the cache where that is fresh. */
    public function product(int|string $id): Product
    {
        $product = $this->border->struct('stockade_product');
        $this->border->check($this->ffi->stockade_engine_product(
            $this->handle(),
            $this->border->id($id),
            FFI::addr($product),
            $this->border->errorPlace
        ));
        return $this->reader->product($product);
    }

    /** Reads up to $limit (1 to 1000) products with ids above $after. */
    public function products(int|string $after = 0, int $limit = 100): ProductPage
    {
        $page = $this->ffi->new('stockade_products *');
        $this->border->check($this->ffi->stockade_engine_products(
            $this->handle(),
            $this->border->id($after),
            Border::limit($limit),
            FFI::addr($page),
            $this->border->errorPlace
        ));
        try {
            return $this->reader->products($page);
        } finally {
            $this->ffi->stockade_products_free($page);
        }
    }

    /** Adds a product; its price is an exact decimal such as "19.99". */
    public function createProduct(string $name, string $price, int $stock): Product
    {
        $request = $this->border->struct('stockade_new_product');
        $request->price_minor = $this->border->price($price);
        // A negative number is one beyond every stock, which is refused.
        $request->stock = $stock;
        $request->name = $this->border->text($name);
        $product = $this->border->struct('stockade_product');
        $this->border->check($this->ffi->stockade_engine_create_product(
            $this->handle(),
            FFI::addr($request),
            FFI::addr($product),
            $this->border->errorPlace
        ));
        return $this->reader->product($product);
    }

    /** Receives goods, or writes them off where $delta is negative. */
    public function adjustStock(int|string $productId, int $delta, string $reason): Product
    {
        $request = $this->border->struct('stockade_stock_adjustment');
        $request->product_id = $this->border->id($productId);
        $request->delta = $delta;
        $request->reason = $this->border->text($reason);
        $product = $this->border->struct('stockade_product');
        $this->border->check($this->ffi->stockade_engine_adjust_stock(
            $this->handle(),
            FFI::addr($request),
            FFI::addr($product),
            $this->border->errorPlace
        ));
        return $this->reader->product($product);
    }

    /**
     * Holds units of one product for a short time.
     *
     * @param ?string $customer whom they are held for, by any word that names
     *     one buyer in 1 to 255 bytes; under the setting max_per_customer
     *     their holds count together
     */
    public function hold(
        int|string $productId,
        int|string $quantity,
        int|float|null $ttl = null,
        ?string $key = null,
        ?string $customer = null,
    ): Hold {
        $request = $this->border->struct('stockade_hold_request');
        $request->product_id = $this->border->id($productId);
        $request->quantity = $this->border->quantity($quantity);
        $this->border->fillTtl($request, $ttl);
        $request->key = $this->border->text($key);
        $request->customer = $this->border->text($customer);
        $hold = $this->border->struct('stockade_hold');
        $this->border->check($this->ffi->stockade_engine_hold(
            $this->handle(),
            FFI::addr($request),
            FFI::addr($hold),
            $this->replayedPlace,
            $this->border->errorPlace
        ));
        return $this->reader->hold($hold, $this->replayed->cdata);
    }

    /**
     * Holds several products, all or none.
     *
     * @param iterable<array{0: int|string, 1: int|string}> $lines product id
     *     and quantity of each line; lines of the same product are summed
     * @param ?string $customer as hold() has it
     */
    public function holdMany(
        iterable $lines,
        int|float|null $ttl = null,
        ?string $key = null,
        ?string $customer = null,
    ): Cart {
        $read = [];
        foreach ($lines as [$productId, $quantity]) {
            $read[] = [$this->border->id($productId), $this->border->quantity($quantity)];
        }
        $count = count($read);
        // An array of no elements cannot be made.
        $array = $this->ffi->new('stockade_cart_line[' . max(1, $count) . ']');
        foreach ($read as $index => [$productId, $quantity]) {
            $array[$index]->product_id = $productId;
            $array[$index]->quantity = $quantity;
        }
        $request = $this->border->struct('stockade_cart_request');
        $request->lines = FFI::addr($array[0]);
        $request->line_count = $count;
        $this->border->fillTtl($request, $ttl);
        $request->key = $this->border->text($key);
        $request->customer = $this->border->text($customer);
        $holds = $this->ffi->new('stockade_holds *');
        $this->border->check($this->ffi->stockade_engine_hold_many(
            $this->handle(),
            FFI::addr($request),
            FFI::addr($holds),
            $this->replayedPlace,
            $this->border->errorPlace
        ));
        try {
            return new Cart($this->reader->holds($holds), $this->replayed->cdata);
        } finally {
            $this->ffi->stockade_holds_free($holds);
        }
    }

    /**
     * Gives a hold back. One that is over already stays as it is.
     *
     * @param ?string $token the hold's, to show whose it is; one that is not
     *     the hold's is refused, and none under the setting require_hold_token
     */
    public function release(int|string $holdId, ?string $token = null): Hold
    {
        $request = $this->border->struct('stockade_release_request');
        $request->hold_id = $this->border->id($holdId);
        $request->token = $this->border->text($token);
        $hold = $this->border->struct('stockade_hold');
        $this->border->check($this->ffi->stockade_engine_release_with(
            $this->handle(),
            FFI::addr($request),
            FFI::addr($hold),
            $this->border->errorPlace
        ));
        return $this->reader->hold($hold, false);
    }

    /**
     * Makes an active hold live longer, $ttl seconds from now on.
     *
     * @param ?string $token as release() has it
     */
    public function extend(
        int|string $holdId,
        int|float|null $ttl = null,
        ?string $token = null,
    ): Hold {
        $request = $this->border->struct('stockade_extend_request');
        $request->hold_id = $this->border->id($holdId);
        $this->border->fillTtl($request, $ttl);
        $request->token = $this->border->text($token);
        $hold = $this->border->struct('stockade_hold');
        $this->border->check($this->ffi->stockade_engine_extend(
            $this->handle(),
            FFI::addr($request),
            FFI::addr($hold),
            $this->border->errorPlace
        ));
        return $this->reader->hold($hold, false);
    }

    /** Reads a hold as it stands now. */
    public function getHold(int|string $id): Hold
    {
        $hold = $this->border->struct('stockade_hold');
        $this->border->check($this->ffi->stockade_engine_get_hold(
            $this->handle(),
            $this->border->id($id),
            FFI::addr($hold),
            $this->border->errorPlace
        ));
        return $this->reader->hold($hold, false);
    }

    /**
     * Turns an active hold into an order.
     *
     * @param ?string $token as release() has it
     */
    public function order(
        int|string $holdId,
        int|string $productId,
        ?string $key = null,
        ?string $token = null,
    ): Order {
        $request = $this->border->struct('stockade_order_request');
        $request->hold_id = $this->border->id($holdId);
        $request->product_id = $this->border->id($productId);
        $request->key = $this->border->text($key);
        $request->token = $this->border->text($token);
        $order = $this->border->struct('stockade_order');
        $this->border->check($this->ffi->stockade_engine_order(
            $this->handle(),
            FFI::addr($request),
            FFI::addr($order),
            $this->replayedPlace,
            $this->border->errorPlace
        ));
        return $this->reader->order($order, $this->replayed->cdata);
    }

    /** Reads an order as it stands now. */
    public function getOrder(int|string $id): Order
    {
        $order = $this->border->struct('stockade_order');
        $this->border->check($this->ffi->stockade_engine_get_order(
            $this->handle(),
            $this->border->id($id),
            FFI::addr($order),
            $this->border->errorPlace
        ));
        return $this->reader->order($order, false);
    }

    /**
     * Takes the payment provider's word on an order, which its id, its payment
     * token or both name, once for each key however often it comes.
     *
     * @param string $status the provider's word: success, paid, failed, cancelled, …
     * @param ?string $body the body the event came in; a key that returns with
     *     another body is refused
     */
    public function payment(
        string $status,
        int|string|null $orderId = null,
        ?string $paymentToken = null,
        ?string $key = null,
        ?string $body = null,
    ): Payment {
        $event = $this->border->struct('stockade_payment_event');
        $event->has_order_id = $orderId === null ? 0 : 1;
        $event->order_id = $orderId === null ? 0 : $this->border->id($orderId);
        $event->payment_token = $this->border->text($paymentToken);
        $event->status = $this->border->text($status);
        $event->key = $this->border->text($key);
        // One byte more than counts: an empty body is a body.
        $bytes = $body === null ? null : $this->border->bytes($body . "\0");
        $event->body = $bytes === null ? null : $this->ffi->cast('uint8_t *', $bytes);
        $event->body_length = strlen($body ?? '');
        $answer = $this->ffi->new('stockade_payment_answer');
        $this->border->check($this->ffi->stockade_engine_payment(
            $this->handle(),
            FFI::addr($event),
            FFI::addr($answer),
            $this->replayedPlace,
            $this->border->errorPlace
        ));
        $word = $this->ffi->stockade_payment_answer_name($answer->cdata);
        return new Payment(PaymentAnswer::from($word), $this->replayed->cdata);
    }

    /** Takes back all that is due now, without waiting for the sweeper. */
    public function sweep(): SweepReport
    {
        $report = $this->border->struct('stockade_sweep_report');
        $this->border->check($this->ffi->stockade_engine_sweep(
            $this->handle(),
            FFI::addr($report),
            $this->border->errorPlace
        ));
        return new SweepReport($report->holds_expired, $report->orders_cancelled);
    }

    /** Compares all of the store's numbers with each other. */
    public function audit(): AuditReport
    {
        $audit = $this->ffi->new('stockade_audit *');
        $this->border->check($this->ffi->stockade_engine_audit(
            $this->handle(),
            FFI::addr($audit),
            $this->border->errorPlace
        ));
        try {
            return $this->reader->audit($audit);
        } finally {
            $this->ffi->stockade_audit_free($audit);
        }
    }

    /**
     * Reads up to $limit (1 to 10000) events after $cursor, 0 for the first.
     *
     * @return list<Event>
     */
    public function eventsAfter(int $cursor = 0, int $limit = 1000): array
    {
        $events = $this->ffi->new('stockade_events *');
        $this->border->check($this->ffi->stockade_engine_events_after(
            $this->handle(),
            $this->border->id($cursor),
            Border::limit($limit),
            FFI::addr($events),
            $this->border->errorPlace
        ));
        try {
            return $this->reader->events($events);
        } finally {
            $this->ffi->stockade_events_free($events);
        }
    }

    /** Reaches for the store. */
    public function ping(): void
    {
        $this->border->check(
            $this->ffi->stockade_engine_ping($this->handle(), $this->border->errorPlace)
        );
    }

    /** Does nothing, to measure what a call costs. */
    public function noop(): void
    {
        $this->border->check(
            $this->ffi->stockade_engine_noop($this->handle(), $this->border->errorPlace)
        );
    }

    /** The engine's counters as OpenMetrics text, without the closing "# EOF". */
    public function metricsText(): string
    {
        $text = $this->ffi->new('char *');
        $this->border->check($this->ffi->stockade_engine_metrics_text(
            $this->handle(),
            FFI::addr($text),
            $this->border->errorPlace
        ));
        try {
            return FFI::string($text);
        } finally {
            $this->ffi->stockade_string_free($text);
        }
    }

    /** Closes the engine; a shared one stays open for the next request. */
    public function close(): void
    {
        if ($this->handle === null) {
            return;
        }
        $this->border->check(
            $this->ffi->stockade_engine_close($this->handle, $this->border->errorPlace)
        );
        $this->ffi->stockade_engine_free($this->handle);
        $this->handle = null;
    }

    /** @param array<string, string|int|bool> $settings */
    private static function with(string $store, array $settings, bool $shared): self
    {
        $border = new Border();
        $ffi = $border->ffi;
        $options = $ffi->new('stockade_options *');
        $border->check($ffi->stockade_options_new(FFI::addr($options), $border->errorPlace));
        try {
            foreach (['store' => $store] + $settings as $name => $value) {
                $text = is_bool($value) ? ($value ? 'true' : 'false') : (string) $value;
                $border->check($ffi->stockade_options_set(
                    $options,
                    Border::whole((string) $name),
                    Border::whole($text),
                    $border->errorPlace
                ));
            }
            $handle = $ffi->new('stockade_engine *');
            $place = FFI::addr($handle);
            $border->check(
                $shared
                    ? $ffi->stockade_engine_open_shared($options, $place, $border->errorPlace)
                    : $ffi->stockade_engine_open_with($options, $place, $border->errorPlace)
            );
            return new self($border, $handle);
        } finally {
            $ffi->stockade_options_free($options);
        }
    }

    private function handle(): CData
    {
        return $this->handle ?? throw Misuse::because('the engine is closed');
    }
}

<?php

declare(strict_types=1);

namespace Stockade\Laravel;

use Illuminate\Container\Container;
use Stockade\Client;
use Stockade\Event;
use Stockade\Exception\StockadeException;
use Stockade\Hold;
use Stockade\Laravel\Events\StockadeEvent;
use Stockade\Product;

/**
 * Ties an Eloquent model to the product that has its SKU. The model keeps what the shop
 * shows; Stockade keeps stock and the price of orders.
 *
 *     $lamp->publishStock(100);
 *     $hold = $lamp->reserve(2, key: 'cart-77');
 *
 * @mixin \Illuminate\Database\Eloquent\Model
 */
trait Reservable
{
    /** The column of the SKU. */
    public static function skuColumn(): string
    {
        return 'sku';
    }

    /** The product's name in calls of {@see Client}. */
    public function stockadeProduct(): string
    {
        return 'sku:' . $this->getAttribute(static::skuColumn());
    }

    /**
     * The product with its stock as it stands now.
     *
     * @throws StockadeException not_found, unavailable
     */
    public function stock(): Product
    {
        return $this->stockade()->product($this->stockadeProduct());
    }

    /**
     * Holds units of the product.
     *
     * @param array<string, mixed>|string|null $metadata
     * @throws StockadeException as {@see Client::createHold()}, whose arguments these are
     */
    public function reserve(
        int|string|float|bool $quantity,
        int|float|string|bool|null $ttl = null,
        ?string $key = null,
        ?string $customer = null,
        bool $atMost = false,
        array|string|null $metadata = null,
    ): Hold {
        return $this->stockade()
            ->createHold($this->stockadeProduct(), $quantity, $ttl, $key, $customer, $atMost, $metadata);
    }

    /**
     * Makes the product, or changes its name, price and currency to the model's. All else
     * of it stays, such as its metadata and its window.
     *
     * @param ?int $stock the units in stock that it shall have; null for those that it has
     * @throws StockadeException invalid_argument, contention, unavailable
     */
    public function publishStock(?int $stock = null): Product
    {
        $fields = $this->stockadeFields();
        $changes = $stock === null ? $fields : $fields + ['stock' => $stock];
        try {
            return $this->stockade()->changeProduct($this->stockadeProduct(), $changes);
        } catch (\Stockade\Exception\NotFound) {
            return $this->stockade()->putProduct($this->stockadeProduct(), ...$changes)->product;
        }
    }

    /**
     * What publishStock() sets: name, price and, if the model has one, currency.
     *
     * @return array{name: string, price: string, currency?: string}
     */
    protected function stockadeFields(): array
    {
        $fields = ['name' => (string) $this->getAttribute('name'), 'price' => (string) $this->getAttribute('price')];
        $currency = $this->getAttribute('currency');
        return $currency === null ? $fields : $fields + ['currency' => (string) $currency];
    }

    /** The model that an event is about, if there is one. */
    public static function ofStockEvent(StockadeEvent|Event $event): ?static
    {
        $sku = ($event instanceof Event ? $event : $event->event())->sku;
        return $sku === null ? null : static::query()->where(static::skuColumn(), $sku)->first();
    }

    private function stockade(): Client
    {
        return Container::getInstance()->make(Client::class);
    }
}

<?php

declare(strict_types=1);

namespace Stockade\Testing;

use Stockade\Cart;
use Stockade\Exception\StockadeException;
use Stockade\Hold;
use Stockade\Input\Arguments;
use Stockade\Order;
use Stockade\Product;

/**
 * What a {@see FakeClient} has made and was given, so that reads find it. It counts no
 * stock.
 *
 * @internal
 */
final class Shelf
{
    /** @var array<int, Product> */
    public array $products = [];
    /** @var array<int, Hold> */
    public array $holds = [];
    /** @var array<int, Cart> */
    public array $carts = [];
    /** @var array<int, Order> */
    public array $orders = [];

    /**
     * @template T of Product|Hold|Cart|Order
     * @param T $value
     * @return T
     */
    public function put(Product|Hold|Cart|Order $value): Product|Hold|Cart|Order
    {
        match (true) {
            $value instanceof Product => $this->products[$value->id] = $value,
            $value instanceof Hold => $this->holds[$value->id] = $value,
            $value instanceof Order => $this->orders[$value->id] = $value,
            $value instanceof Cart => $this->carts[$value->id] = $value,
        };
        if ($value instanceof Cart) {
            array_map($this->put(...), $value->holds);
        }
        return $value;
    }

    public function findProduct(int|string|float|bool $product): ?Product
    {
        [$id, $sku] = Arguments::product('id', $product);
        if ($sku === null) {
            return $this->products[$id] ?? null;
        }
        foreach ($this->products as $one) {
            if ($one->sku === $sku) {
                return $one;
            }
        }
        return null;
    }

    public function product(int|string|float|bool $product): Product
    {
        return $this->findProduct($product) ?? throw self::none("product {$product}");
    }

    public function hold(int|string|float|bool $id): Hold
    {
        return $this->holds[Arguments::id('hold_id', $id)] ?? throw self::none("hold {$id}");
    }

    public function order(int|string|float|bool $id): Order
    {
        return $this->orders[Arguments::id('order_id', $id)] ?? throw self::none("order {$id}");
    }

    public function orderWith(string $field, string $value): Order
    {
        foreach ($this->orders as $order) {
            if ($order->$field === $value) {
                return $order;
            }
        }
        throw self::none("order {$value}");
    }

    public function cart(int|string|float|bool $id): Cart
    {
        $cart = $this->carts[Arguments::id('cart_id', $id)] ?? throw self::none("cart {$id}");
        return Make::with($cart, holds: array_map(fn (Hold $hold): Hold => $this->hold($hold->id), $cart->holds));
    }

    /**
     * A page of values with ids above $after, and where the next one begins.
     *
     * @template T of object
     * @param array<int, T> $values
     * @param callable(T): bool $fits
     * @return array{list<T>, ?int}
     */
    public static function page(
        array $values,
        int|string|float|bool $after,
        int|string|float|bool $limit,
        callable $fits,
    ): array {
        ksort($values);
        $after = Arguments::id('after', $after);
        $all = array_values(array_filter($values, static fn (object $one): bool => $one->id > $after && $fits($one)));
        $page = array_slice($all, 0, Arguments::limit($limit));
        $last = end($page);
        return [$page, $last !== false && count($page) < count($all) ? $last->id : null];
    }

    public static function none(string $what): StockadeException
    {
        return Make::error('not_found', "the fake has no {$what}: give it one with put()");
    }
}

<?php

declare(strict_types=1);

namespace Stockade\Native;

use DateTimeInterface;
use FFI;
use FFI\CData;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\StockadeException;
use Stockade\Input\Arguments;
use Stockade\Product;
use Stockade\ProductPage;
use Stockade\PutOutcome;
use Stockade\PutProduct;
use Stockade\PutResult;

/**
 * The library's calls about products, documented in {@see \Stockade\Client\ProductCalls}.
 */
trait ProductCalls
{
    public function product(int|string|float|bool $id): Product
    {
        [$number, $sku] = Arguments::product('id', $id);
        $call = new Call($this->handle);
        if ($sku !== null) {
            return $this->askProduct($call, 'product_by_sku', [$call->text('sku', $sku)]);
        }
        return $this->askProduct($call, 'product', [$number]);
    }

    public function products(int|string|float|bool $after = 0, int|string|float|bool $limit = 100): ProductPage
    {
        $call = new Call($this->handle);
        $page = $call->make('stockade_products *');
        $call->ask('products', [Arguments::id('after', $after), Arguments::limit($limit), FFI::addr($page)], false);
        try {
            return (new Reader($call))->products($page);
        } finally {
            $call->ffi->stockade_products_free($page);
        }
    }

    public function createProduct(
        string $name,
        int|string|float|bool $price,
        int|string|float|bool $stock,
        ?string $key = null,
        int|string|float|bool|null $id = null,
        ?string $sku = null,
        ?string $currency = null,
        array|string|null $metadata = null,
        DateTimeInterface|string|null $onSaleFrom = null,
        DateTimeInterface|string|null $onSaleUntil = null,
        int|string|float|bool $safetyStock = 0,
    ): Product {
        $call = new Call($this->handle);
        $request = $call->struct('stockade_new_product');
        $request->name = $call->text('name', $name);
        $request->price = $call->text('price', Arguments::decimal('price', $price));
        $request->stock = Arguments::whole('stock', $stock, 0);
        $request->key = $call->text('key', $key);
        [$request->has_id, $request->id] = $id === null ? [0, 0] : [1, Arguments::id('id', $id)];
        $request->sku = $call->text('sku', $sku);
        $request->currency = $call->text('currency', $currency);
        $request->metadata = $call->text('metadata', Arguments::metadata($metadata));
        $request->on_sale_from_us = Arguments::moment('onSaleFrom', $onSaleFrom);
        $request->on_sale_until_us = Arguments::moment('onSaleUntil', $onSaleUntil);
        $request->safety_stock = Arguments::whole('safetyStock', $safetyStock, 0);
        return $this->askProduct($call, 'create_product', [FFI::addr($request)], true);
    }

    public function putProduct(
        int|string|float|bool $product,
        string $name,
        int|string|float|bool $price,
        ?string $currency = null,
        ?string $sku = null,
        array|string|null $metadata = null,
        DateTimeInterface|string|null $onSaleFrom = null,
        DateTimeInterface|string|null $onSaleUntil = null,
        int|string|float|bool $safetyStock = 0,
        int|string|float|bool|null $stock = null,
        int|string|float|bool|null $version = null,
    ): PutOutcome {
        $call = new Call($this->handle);
        $request = $call->struct('stockade_product_put');
        self::put($call, $request, new PutProduct(
            $product,
            $name,
            $price,
            $currency,
            $sku,
            $metadata,
            $onSaleFrom,
            $onSaleUntil,
            $safetyStock,
            $stock,
            $version
        ));
        $written = $call->struct('stockade_product');
        $call->ask('put_product', [FFI::addr($request), FFI::addr($written)], true);
        return new PutOutcome((new Reader($call))->product($written), $call->replayed());
    }

    public function putProducts(iterable $requests): array
    {
        $read = Arguments::requests($requests, PutProduct::class);
        $call = new Call($this->handle);
        $array = $call->array('stockade_product_put', count($read));
        $size = FFI::sizeof($array[0]);
        [$rejected, $count] = [[], 0];
        foreach ($read as $at => $request) {
            try {
                // What one that is rejected leaves is overwritten by the next.
                $array[$count]->struct_size = $size;
                self::put($call, $array[$count], $request);
                $count++;
            } catch (StockadeException $error) {
                $rejected[$at] = $error;
            }
        }
        $results = $call->make('stockade_put_results *');
        $call->ask('put_products', [FFI::addr($array[0]), $count, FFI::addr($results)], false);
        try {
            $made = (new Reader($call))->putResults($results);
        } finally {
            $call->ffi->stockade_put_results_free($results);
        }
        [$all, $next] = [[], 0];
        foreach (array_keys($read) as $at) {
            $all[] = isset($rejected[$at]) ? PutResult::refused($rejected[$at]) : $made[$next++];
        }
        return $all;
    }

    public function changeProduct(
        int|string|float|bool $product,
        array $changes,
        int|string|float|bool|null $version = null,
    ): Product {
        $call = new Call($this->handle);
        $request = $call->struct('stockade_product_change');
        $call->product($request, 'product', $product, 'product_sku');
        $request->version = $version === null ? 0 : Arguments::id('version', $version);
        foreach ($changes as $name => $value) {
            self::change($call, $request, (string) $name, $value);
        }
        return $this->askProduct($call, 'change_product', [FFI::addr($request)]);
    }

    public function adjustStock(
        int|string|float|bool $productId,
        int|string|float|bool|null $delta,
        string $reason,
        ?string $key = null,
        int|string|float|bool|null $version = null,
        int|string|float|bool|null $to = null,
    ): Product {
        $call = new Call($this->handle);
        $request = $call->struct('stockade_stock_adjustment');
        $call->product($request, 'product_id', $productId);
        $request->delta = $delta === null ? 0 : Arguments::whole('delta', $delta);
        $request->reason = $call->text('reason', $reason);
        $request->key = $call->text('key', $key);
        $request->version = $version === null ? 0 : Arguments::id('version', $version);
        [$request->has_to, $request->to] = $to === null ? [0, 0] : [1, Arguments::whole('to', $to, 0)];
        return $this->askProduct($call, 'adjust_stock', [FFI::addr($request)], true);
    }

    /** Sets all fields of a product to put. */
    private static function put(Call $call, CData $request, PutProduct $put): void
    {
        $call->product($request, 'product', $put->product, 'product_sku');
        $request->name = $call->text('name', $put->name);
        $request->price = $call->text('price', Arguments::decimal('price', $put->price));
        $request->currency = $call->text('currency', $put->currency);
        $request->sku = $call->text('sku', $put->sku);
        $request->metadata = $call->text('metadata', Arguments::metadata($put->metadata));
        $request->on_sale_from_us = Arguments::moment('onSaleFrom', $put->onSaleFrom);
        $request->on_sale_until_us = Arguments::moment('onSaleUntil', $put->onSaleUntil);
        $request->safety_stock = Arguments::whole('safetyStock', $put->safetyStock, 0);
        $stock = $put->stock === null ? null : Arguments::whole('stock', $put->stock, 0);
        [$request->has_stock, $request->stock] = [$stock === null ? 0 : 1, $stock ?? 0];
        $request->version = $put->version === null ? 0 : Arguments::id('version', $put->version);
    }

    /** Sets one field of a change. */
    private static function change(Call $call, CData $request, string $name, mixed $value): void
    {
        $field = strtolower((string) preg_replace('/[A-Z]/', '_$0', $name));
        switch ($name) {
            case 'sku':
                $request->sku = $call->text('sku', $value === null ? '' : Arguments::string('sku', $value));
                break;
            case 'metadata':
                $json = is_array($value) ? $value : ($value === null ? '' : Arguments::string('metadata', $value));
                $request->metadata = $call->text('metadata', Arguments::metadata($json));
                break;
            case 'onSaleFrom':
            case 'onSaleUntil':
                $request->{"has_{$field}"} = 1;
                $request->{"{$field}_us"} = Arguments::moment($name, $value);
                break;
            case 'name':
            case 'currency':
                $request->$field = $call->text($name, Arguments::string($name, $value));
                break;
            case 'price':
                $request->price = $call->text('price', Arguments::decimal('price', Arguments::scalar($name, $value)));
                break;
            case 'safetyStock':
            case 'stock':
                $request->{"has_{$field}"} = 1;
                $request->$field = Arguments::whole($name, Arguments::scalar($name, $value), 0);
                break;
            case 'archived':
                [$request->has_archived, $request->archived] = [1, (int) Arguments::flag($name, $value)];
                break;
            default:
                throw InvalidArgument::because("a product has no {$name} that could be changed");
        }
    }

    /**
     * Makes a call that returns a product.
     *
     * @param list<CData|int|null> $arguments between the engine and the out-pointers
     */
    private function askProduct(Call $call, string $function, array $arguments, bool $isKeyed = false): Product
    {
        $product = $call->struct('stockade_product');
        $call->ask($function, [...$arguments, FFI::addr($product)], $isKeyed);
        return (new Reader($call))->product($product, $call->replayed());
    }
}

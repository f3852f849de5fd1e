<?php

declare(strict_types=1);

namespace Stockade;

use Stockade\Client\HoldCalls;
use Stockade\Client\ListCalls;
use Stockade\Client\OrderCalls;
use Stockade\Client\ProductCalls;
use Stockade\Exception\StockadeException;

/**
 * The calls of an engine, whatever carries them out: {@see Engine} through ext-ffi,
 * {@see Http\HttpClient} through a running engine, {@see Testing\FakeClient} in a
 * shop's own tests. Answers and exceptions are the same.
 *
 * Every error is a {@see StockadeException} with a class per code. Beside the codes
 * that a method names, each throws Misuse after close().
 *
 * A product is named by its id, or by "sku:" and its SKU. Ids and quantities may be
 * numbers or request texts: "2abc" is rejected as invalid_argument. A ttl is in
 * seconds. Amounts are exact decimals such as "19.99", or whole numbers. Moments are
 * objects, or texts such as "2026-11-27T08:00:00Z". Metadata is an array, or the text
 * of a JSON object, which is kept as it comes. A page may have fewer than the limit, or
 * none, and not be the last: its $next says so.
 */
interface Client extends HoldCalls, ListCalls, OrderCalls, ProductCalls
{
    /**
     * Returns the same engine for one of its users, such as a clerk or an API key: events of
     * what is asked for through it have $name as their $actor, and orders that are made
     * through it have it as $createdBy.
     *
     * Destroying the returned object leaves the engine open; close() closes it for all.
     *
     * @param string $name of 1 to 255 bytes, without control characters
     * @throws StockadeException invalid_argument
     */
    public function actingAs(string $name): self;

    /**
     * Reads up to $limit (1 to 10000) events after $cursor, 0 for the beginning.
     *
     * @return list<Event>
     * @throws StockadeException invalid_argument, unavailable
     */
    public function eventsAfter(int|string|float|bool $cursor = 0, int|string|float|bool $limit = 1000): array;

    /**
     * Expires all due holds and unpaid orders now.
     *
     * @throws StockadeException contention, unavailable
     */
    public function sweep(): SweepReport;

    /**
     * Checks the consistency of all stock.
     *
     * @throws StockadeException unavailable
     */
    public function audit(): AuditReport;

    /**
     * Checks that the store is reachable.
     *
     * @throws StockadeException unavailable
     */
    public function ping(): void;

    /** Returns the engine's metrics as OpenMetrics text, without the final "# EOF". */
    public function metricsText(): string;

    /** Closes the engine for all objects of it; a shared one stays open for later requests. */
    public function close(): void;
}

<?php

declare(strict_types=1);

namespace Stockade\Tests\Laravel;

use PHPUnit\Framework\TestCase;
use ReflectionClassConstant;
use Stockade\Exception\StockadeException;
use Stockade\Laravel\Http\Problem;
use Stockade\OffSale;
use Stockade\ShortLine;
use Stockade\Testing\Make;

/** Errors as the server renders them. */
final class ProblemTest extends TestCase
{
    public function testEachCodeHasTheStatusThatTheServerDocuments(): void
    {
        $text = (string) file_get_contents(dirname(__DIR__, 3) . '/docs/http.md');
        preg_match_all('/^\| (`[a-z_`, ]+`) \| ([0-9, ]+) \|/m', $text, $rows, PREG_SET_ORDER);
        $documented = [];
        foreach ($rows as [, $codes, $statuses]) {
            $codes = explode(', ', strtr($codes, ['`' => '']));
            $statuses = array_map(intval(...), explode(', ', $statuses));
            $documented += array_combine($codes, array_pad($statuses, count($codes), $statuses[0]));
        }
        $names = (new ReflectionClassConstant(StockadeException::class, 'NAMES'))->getValue();
        self::assertGreaterThan(20, count($names));
        foreach ($names as $name) {
            $answer = Problem::of(Make::error($name));
            self::assertSame($documented[$name], $answer->getStatusCode(), $name);
            self::assertSame($name, $answer->getData()->code);
        }
    }

    public function testTheDetailsAreThoseOfTheServer(): void
    {
        $short = Make::error('insufficient_stock', short: [new ShortLine(7, 3, 1), new ShortLine(8, 2, 0, 'MUG')]);
        self::assertSame([
            ['product_id' => 7, 'requested' => 3, 'available' => 1],
            ['product_id' => 8, 'sku' => 'MUG', 'requested' => 2, 'available' => 0],
        ], Problem::of($short)->getData(true)['short']);

        $moment = new \DateTimeImmutable('2026-11-27T08:00:00Z');
        $early = Make::error('not_on_sale', productId: 7, offSale: OffSale::Before, moment: $moment);
        $body = Problem::of($early)->getData(true);
        self::assertSame([7, '2026-11-27T08:00:00Z'], [$body['product_id'], $body['on_sale_from']]);
        self::assertSame(9, Problem::of(Make::error('already_exists', productId: 9))->getData(true)['id']);

        $busy = Problem::of(Make::error('contention', retryAfter: 0.2, replayed: true));
        self::assertSame(['1', 'true'], [
            $busy->headers->get('Retry-After'),
            $busy->headers->get('Idempotent-Replayed'),
        ]);
        $fault = Problem::of(Make::error('internal', 'a secret'));
        self::assertStringNotContainsString('secret', (string) $fault->getContent());
    }
}

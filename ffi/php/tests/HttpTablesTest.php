<?php

declare(strict_types=1);

namespace Stockade\Tests;

use PHPUnit\Framework\TestCase;
use Stockade\Engine;
use Stockade\EventKind;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\NotFound;
use Stockade\Exception\StockadeException;
use Stockade\Http\Currency;
use Stockade\Http\HttpClient;
use Stockade\Native\Library;
use Stockade\Outcome;

/** What the http driver knows by tables of its own is what the engine knows. */
final class HttpTablesTest extends TestCase
{
    public function testEachCodeHasItsNumberAndItsClass(): void
    {
        $ffi = Library::ffi();
        $seen = (string) tempnam(sys_get_temp_dir(), 'stockade');
        for ($code = 1; ($name = $ffi->stockade_code_name($code)) !== null; $code++) {
            $odd = new Helper('odd', ['200 {"Err":{"code":"' . $name . '","message":"why","replayed":true}}', $seen]);
            try {
                HttpClient::open("http://{$odd->address}")->ping();
                self::fail('nothing was thrown');
            } catch (StockadeException $error) {
                self::assertSame([$code, $name, 'why', true], [
                    $error->getCode(), $error->error, $error->getMessage(), $error->replayed,
                ]);
                self::assertSame(StockadeException::classFor($code), $error::class);
                $expected = ['contention' => 1.0, 'unavailable' => 2.0][$name] ?? null;
                self::assertSame($expected, $error->retryAfter);
            }
        }
        unlink($seen);
        self::assertSame(22, $code);
    }

    public function testDetailsOfErrorsAreRead(): void
    {
        $seen = (string) tempnam(sys_get_temp_dir(), 'stockade');
        $odd = new Helper('odd', ['200 {"Err":{"code":"not_on_sale","message":"why",'
            . '"short":[{"product_id":7,"sku":"A","requested":18446744073709551615,"available":2}],"order_id":3,'
            . '"holds":[{"hold_id":4,"code":"hold_expired","order_id":5}],"product_id":6,'
            . '"off_sale":{"since":"2026-11-27T08:00:00.000001Z"}}}', $seen]);
        try {
            HttpClient::open("http://{$odd->address}")->ping();
            self::fail('nothing was thrown');
        } catch (StockadeException $error) {
            self::assertSame([2, 3, 6], [$error->available, $error->orderId, $error->productId]);
            self::assertSame([7, PHP_INT_MAX, 'A'], [
                $error->short[0]->productId, $error->short[0]->requested, $error->short[0]->sku,
            ]);
            self::assertSame([4, 'hold_expired', 5], [
                $error->holds[0]->holdId, $error->holds[0]->code, $error->holds[0]->orderId,
            ]);
            self::assertSame('since', $error->offSale?->value);
            self::assertSame('2026-11-27 08:00:00.000001', $error->moment?->format('Y-m-d H:i:s.u'));
        } finally {
            unlink($seen);
        }
    }

    public function testProvidersWordsMeanTheSame(): void
    {
        $source = (string) file_get_contents(__DIR__ . '/../../../engine/src/model/requests.rs');
        preg_match('/const PROVIDERS_WORDS.*?\n\];/s', $source, $table);
        preg_match_all('/Outcome::(\w+),\s*&\[(.*?)\]/s', $table[0], $rows, PREG_SET_ORDER);
        $count = 0;
        foreach ($rows as [, $outcome, $words]) {
            preg_match_all('/"(\w+)"/', $words, $listed);
            foreach ($listed[1] as $word) {
                self::assertSame($outcome, Outcome::fromStatus(strtoupper($word))->name, $word);
                $count++;
            }
        }
        $words = (new \ReflectionClassConstant(Outcome::class, 'WORDS'))->getValue();
        self::assertSame(count($words), $count);
    }

    public function testCurrenciesAreThoseOfTheEngine(): void
    {
        $engine = Engine::open('sqlite::memory:');
        for ($code = 'AAA'; strlen($code) === 3; $code++) {
            try {
                // The currency is parsed before the product is looked for.
                $engine->changeProduct('sku:none', ['currency' => $code]);
                self::fail('nothing was thrown');
            } catch (NotFound) {
                $isKnown = true;
            } catch (InvalidArgument) {
                $isKnown = false;
            }
            self::assertSame($isKnown, Currency::decimals($code) !== null, $code);
            if ($isKnown) {
                $minor = $engine->createProduct($code, '7', 0, currency: $code)->priceMinor;
                self::assertSame(7 * 10 ** Currency::decimals($code), $minor, $code);
            }
        }
    }

    public function testEventsOfAllKindsAreRead(): void
    {
        $source = (string) file_get_contents(__DIR__ . '/../../../engine/src/model.rs');
        preg_match('/EventKind \{(.*?)\n    \}/s', $source, $table);
        preg_match_all('/= "([\w.]+)"/', $table[1], $kinds);
        self::assertGreaterThan(20, count($kinds[1]));
        foreach ($kinds[1] as $kind) {
            self::assertSame($kind, EventKind::from($kind)->value);
        }
    }
}

<?php

declare(strict_types=1);

namespace Stockade\Tests;

use PHPUnit\Framework\TestCase;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\StockadeException;
use Stockade\Exception\Unauthorized;
use Stockade\Webhook;

final class WebhookTest extends TestCase
{
    private const NOW = 1_700_000_000;
    private const BODY = '{"status":"paid"}';
    /** HMAC-SHA256 of "1700000000.{"status":"paid"}" under "hush", by openssl. */
    private const SIGNED = '8d60d703a84e5c0ca8f9a07dde9bcea21af433840e7ee22049d6047bae03b0f7';

    /** @dataProvider taken */
    public function testWhatIsSignedPasses(string $header, string|array $secrets): void
    {
        Webhook::verify(self::BODY, $header, $secrets, now: self::NOW);
        $this->addToAssertionCount(1);
    }

    /** @return iterable<string, array{string, string|list<string>}> */
    public static function taken(): iterable
    {
        $known = 't=' . self::NOW . ',v1=' . self::SIGNED;
        yield 'known' => [$known, 'hush'];
        yield 'several secrets' => [$known, ['new', 'hush']];
        yield 'several signatures' => ["{$known},v1=" . str_repeat('0', 64), 'hush'];
        yield 'upper case, blanks and what is not known' => [
            't=' . self::NOW . ', v0=x, v1=' . strtoupper(self::SIGNED), 'hush',
        ];
        foreach ([-300, 300] as $off) {
            yield "at the bound: {$off}" => [Webhook::sign(self::BODY, 'hush', self::NOW + $off), 'hush'];
        }
        self::assertSame($known, Webhook::sign(self::BODY, 'hush', self::NOW));
    }

    /** @dataProvider refused */
    public function testWhatIsNotIsRefused(string $body, ?string $header, string|array $secrets = 'hush'): void
    {
        $this->expectException(Unauthorized::class);
        Webhook::verify($body, $header, $secrets, now: self::NOW);
    }

    /** @return iterable<string, array{0: string, 1: ?string, 2?: string|list<string>}> */
    public static function refused(): iterable
    {
        $good = Webhook::sign(self::BODY, 'hush', self::NOW);
        yield 'no header' => [self::BODY, null];
        yield 'empty' => [self::BODY, ''];
        yield 'nonsense' => [self::BODY, 'hush'];
        yield 'no signature' => [self::BODY, 't=' . self::NOW];
        yield 'cut' => [self::BODY, substr($good, 0, -1)];
        yield 'another body' => [self::BODY . ' ', $good];
        yield 'another secret' => [self::BODY, $good, ['loud', 'noise']];
        yield 'another time' => [self::BODY, str_replace('t=17', 't=18', $good)];
        yield 'two times' => [self::BODY, 't=' . self::NOW . ",{$good}"];
        yield 'too old' => [self::BODY, Webhook::sign(self::BODY, 'hush', self::NOW - 301)];
        yield 'of the future' => [self::BODY, Webhook::sign(self::BODY, 'hush', self::NOW + 301)];
        $far = str_repeat('9', 30);
        $v1 = hash_hmac('sha256', "{$far}." . self::BODY, 'hush');
        yield 'beyond every clock' => [self::BODY, "t={$far},v1={$v1}"];
    }

    /** @dataProvider noSecrets */
    public function testWithoutASecretNothingPasses(string|array $secrets): void
    {
        try {
            Webhook::verify(self::BODY, Webhook::sign(self::BODY, 'hush'), $secrets);
            self::fail('it passed');
        } catch (StockadeException $error) {
            self::assertInstanceOf(InvalidArgument::class, $error);
        }
    }

    /** @return iterable<array{string|array<mixed>}> */
    public static function noSecrets(): iterable
    {
        yield [''];
        yield [[]];
        yield [['hush', '']];
        yield [[null]];
    }
}

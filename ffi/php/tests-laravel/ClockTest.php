<?php

declare(strict_types=1);

namespace Stockade\Tests\Laravel;

use Stockade\Laravel\Facades\Stockade;
use Stockade\Testing\WithStockade;

/** A test of Laravel moves the clock of the application's engine. */
final class ClockTest extends EngineCase
{
    use WithStockade;

    /** @return array<string, string|int|bool> */
    protected function stockadeSettings(): array
    {
        return ['hold_ttl' => '60s'];
    }

    public function testTheApplicationHasTheEngineOfTheTest(): void
    {
        self::assertSame($this->stockade, $this->client());
        $lamp = Stockade::createProduct('Lamp', '19.99', 5);
        $hold = Stockade::createHold($lamp->id, 2);
        $this->assertAvailable($lamp->id, 3);
        $this->advanceClock(60);
        $this->assertAvailable($lamp->id, 5);
        $this->assertHoldStatus('expired', $hold);
        self::assertSame(5, Stockade::product($lamp->id)->stock);
    }
}

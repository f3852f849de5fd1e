<?php

declare(strict_types=1);

namespace Stockade\Tests\Laravel;

use Illuminate\Database\Eloquent\Model;
use Illuminate\Support\Facades\DB;
use Stockade\Exception\InsufficientStock;
use Stockade\Exception\NotFound;
use Stockade\Laravel\Events\HoldCreated;
use Stockade\Laravel\Reservable;

/** The trait of models and the commands of operators. */
final class ShopToolsTest extends EngineCase
{
    protected function setUp(): void
    {
        parent::setUp();
        DB::statement('CREATE TABLE items (id INTEGER PRIMARY KEY, sku TEXT, name TEXT, price TEXT, stock INTEGER)');
    }

    public function testAModelHoldsItsProduct(): void
    {
        $item = new class (['sku' => 'LAMP/1', 'name' => 'Lamp', 'price' => '19.99']) extends Model {
            use Reservable;

            protected $table = 'items';
            protected $guarded = [];
            public $timestamps = false;
        };
        $item->save();
        try {
            $item->stock();
            self::fail('there is no product yet');
        } catch (NotFound) {
        }
        self::assertSame(['LAMP/1', 5], [$item->publishStock(5)->sku, $item->stock()->stock]);
        $request = ['quantity' => 2, 'ttl' => 60, 'key' => 'cart-1', 'customer' => 'ada', 'metadata' => ['cart' => 1]];
        $hold = $item->reserve(...$request);
        self::assertSame(['ada', 2, ['cart' => 1]], [$hold->customer, $hold->quantity, $hold->metadata]);
        self::assertSame($hold->id, $item->reserve(...$request)->id);
        self::assertSame(3, $item->reserve(9, atMost: true)->quantity);

        // What is sold meanwhile stays sold, and what the model does not have stays as it is.
        $this->client()->changeProduct('sku:LAMP/1', ['metadata' => ['shelf' => 'A']]);
        $item->name = 'Desk lamp';
        $again = $item->publishStock();
        self::assertSame(['Desk lamp', 0, ['shelf' => 'A']], [$again->name, $again->stock, $again->metadata]);
        $event = null;
        foreach ($this->client()->eventsAfter() as $each) {
            $event = $each->kind->value === 'hold.created' ? $each : $event;
        }
        self::assertSame($item->id, $item::ofStockEvent(new HoldCreated($event))->id);
        $this->expectException(InsufficientStock::class);
        $item->reserve(1);
    }

    public function testATableIsImported(): void
    {
        DB::table('items')->insert([
            ['id' => 7, 'sku' => 'LAMP-1', 'name' => 'Lamp', 'price' => '19.99', 'stock' => 5],
            ['id' => 9, 'sku' => 'MUG-1', 'name' => 'Mug', 'price' => '5', 'stock' => 0],
        ]);
        $this->artisan('stockade:import', ['--table' => 'items', '--dry-run' => true])
            ->expectsOutputToContain('2 products read')->assertSuccessful();
        self::assertCount(0, $this->client()->products()->items);
        $this->artisan('stockade:import', ['--table' => 'items'])
            ->expectsOutputToContain('2 products put, 0 rejected')->assertSuccessful();
        $lamp = $this->client()->product('sku:LAMP-1');
        self::assertSame([7, 'Lamp', '19.99', 5], [$lamp->id, $lamp->name, $lamp->price, $lamp->stock]);

        // Once more without stock, after some was held.
        $this->client()->createHold(7, 2);
        $this->artisan('stockade:import', ['--table' => 'items', '--stock' => ''])->assertSuccessful();
        self::assertSame(3, $this->client()->product(7)->stock);

        DB::table('items')->where('id', 9)->update(['price' => 'free']);
        $this->artisan('stockade:import', ['--table' => 'items', '--stock' => ''])
            ->expectsOutputToContain('1 products put, 1 rejected')->assertFailed();
        $this->artisan('stockade:audit')->expectsOutputToContain('consistent')->assertSuccessful();
    }

    public function testAFileIsImported(): void
    {
        $file = (string) tempnam(sys_get_temp_dir(), 'stockade');
        $lines = ['sku,title,price,currency,units', 'LAMP-1,"Lamp, large",19.99,EUR,4', 'MUG-1,Mug,700,JPY,'];
        file_put_contents($file, implode("\n", $lines) . "\n");
        try {
            $this->artisan('stockade:import', ['file' => $file, '--name' => 'title', '--stock' => 'units'])
                ->expectsOutputToContain('2 products put')->assertSuccessful();
        } finally {
            unlink($file);
        }
        $lamp = $this->client()->product('sku:LAMP-1');
        self::assertSame(['Lamp, large', 4], [$lamp->name, $lamp->stock]);
        $mug = $this->client()->product('sku:MUG-1');
        self::assertSame(['JPY', 0], [$mug->currency, $mug->stock]);
    }
}

<?php

declare(strict_types=1);

namespace Database\Seeders;

use Illuminate\Database\Seeder;
use Stockade\Client;

final class DatabaseSeeder extends Seeder
{
    /** Two products; a second run changes no stock. */
    public function run(Client $client): void
    {
        $client->createProduct('Flash sale lamp', '200', 100, key: 'seed-1', id: 1, sku: 'LAMP-1');
        $client->createProduct('Flash sale mug', '19.99', 10, key: 'seed-2', id: 2, sku: 'MUG-1');
    }
}

<?php

declare(strict_types=1);

namespace Database\Seeders;

use Illuminate\Database\Seeder;
use Illuminate\Support\Facades\DB;

final class DatabaseSeeder extends Seeder
{
    public function run(): void
    {
        DB::table('products')->insert([
            ['id' => 1, 'name' => 'Flash sale lamp', 'price' => '200', 'stock' => 100],
            ['id' => 2, 'name' => 'Flash sale mug', 'price' => '19.99', 'stock' => 10],
        ]);
    }
}
